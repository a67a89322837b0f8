/** All that is known about the selected feature, kept in step with what the core tells. */
import { type Failure, failureOf, type FeatureDetail, type FeatureRef, type NearHit, type Series } from '../../../bridge'
import type { Desk } from '../../../state/desk.svelte'

export const NEAR_M = 2_000
const NEAR_MOST = 60
const SERIES_HOURS = 24
/** Live batches come every second; nobody reads that fast. */
const REFRESH_MS = 1_500

export class Selected {
  detail = $state.raw<FeatureDetail | null>(null)
  failure = $state.raw<Failure | null>(null)
  series = $state.raw<Series | null>(null)
  seriesFailure = $state.raw<Failure | null>(null)
  /** The parameter charted, or `aqi`. */
  code = $state<string | null>(null)
  near = $state.raw<NearHit[] | null>(null)
  nearFailure = $state.raw<Failure | null>(null)

  readonly ref: FeatureRef
  readonly #desk: Desk
  readonly #unfollow: () => void
  #alive = true
  #refresh: ReturnType<typeof setTimeout> | undefined
  /** Measured time that the shown series ends with, so that it is only asked for again when there is more. */
  #charted: string | null = null

  constructor(desk: Desk, ref: FeatureRef) {
    this.#desk = desk
    this.ref = ref
    // Every batch is heard, also one that comes together with others or while the first answer is on its way: at a start
    // the hours that an index needs arrive just then.
    this.#unfollow = desk.onBatch(({ layer, records }) => {
      if (layer !== ref.layer) return
      if (!this.detail || records.some(({ ordinal }) => ordinal === this.detail?.ordinal)) this.refreshSoon()
    })
    void this.load()
  }

  stop(): void {
    this.#alive = false
    this.#unfollow()
    clearTimeout(this.#refresh)
  }

  async load(): Promise<void> {
    const { layer, id } = this.ref
    try {
      const detail = await this.#desk.core.ask('feature', { layer, id })
      if (!this.#alive) return
      const first = this.detail === null
      this.detail = detail
      this.failure = null
      if (first) {
        this.code = this.#firstCode(detail)
        void this.loadNear()
      }
      const measured = detail.state?.measured_at ?? null
      if (first || measured !== this.#charted) void this.loadSeries()
    } catch (reason) {
      if (this.#alive) this.failure = failureOf(reason)
    }
  }

  /** Batches and new pictures of the layer lead here; the answer is fetched at most every second or so. */
  refreshSoon(): void {
    this.#refresh ??= setTimeout(() => {
      this.#refresh = undefined
      void this.load()
    }, REFRESH_MS)
  }

  #firstCode(detail: FeatureDetail): string | null {
    if (detail.kind === 'air_station') return 'aqi'
    // How many pictures a second a camera sends is no curve worth showing.
    if (detail.kind === 'camera') return null
    const parameters = detail.readings.map((reading) => reading.parameter)
    return (parameters.find((one) => one.chart) ?? parameters[0])?.code ?? null
  }

  chart(code: string): void {
    this.code = code
    this.series = null
    void this.loadSeries()
  }

  async loadSeries(): Promise<void> {
    const { code } = this
    if (code === null) return
    const { layer, id } = this.ref
    const measured = this.detail?.state?.measured_at ?? null
    try {
      const series = await this.#desk.core.ask('series', { layer, id, code, hours: SERIES_HOURS })
      if (!this.#alive || this.code !== code) return
      this.series = series
      this.seriesFailure = null
      this.#charted = measured
    } catch (reason) {
      if (this.#alive && this.code === code) this.seriesFailure = failureOf(reason)
    }
  }

  async loadNear(): Promise<void> {
    const { detail, ref } = this
    if (!detail) return
    const [lon, lat] = detail.point
    try {
      const near = await this.#desk.core.ask('near', { lon, lat, within_m: NEAR_M, limit: NEAR_MOST, exclude: ref })
      if (!this.#alive) return
      this.near = near
      this.nearFailure = null
    } catch (reason) {
      if (this.#alive) this.nearFailure = failureOf(reason)
    }
  }
}
