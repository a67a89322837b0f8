/** Fetches point layers and label points, keeps their states, and feeds the sources: at most one update a frame. */
import type { FeatureCollection } from 'geojson'
import type { GeoJSONSource, Map as MapLibreMap } from 'maplibre-gl'
import { dotsOf, labelsOf, pointsOf } from './drawing'
import { hasLabelPoints } from './layers'
import { isLive, type PointFeature, PointStore } from './live'
import type { LayerInfo, LiveRecord } from './types'

interface Held {
  info: LayerInfo
  store: PointStore
  /** A fetch has begun; retries take care of themselves. */
  asked: boolean
  loaded: boolean
  /** Failed fetches so far. */
  tries: number
  /** The source still shows something else than the store holds. */
  whole: boolean
  labels: FeatureCollection | null
}

const RETRY_MS = [2000, 8000, 30_000]
/** How often numbers of offline sources are looked at for their age. */
const AGE_MS = 30_000

export interface DataHost {
  tilesBase: string
  map: MapLibreMap
  visible(layer: string): boolean
  /** States or features changed; called once after each flush. */
  flushed(): void
  failed(layer: string, message: string): void
}

async function collection(address: string, signal: AbortSignal): Promise<FeatureCollection> {
  const answer = await fetch(address, { signal })
  if (answer.status === 204) return { type: 'FeatureCollection', features: [] }
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`.trim())
  return (await answer.json()) as FeatureCollection
}

export class PointData {
  private readonly held = new Map<string, Held>()
  /** Batches for a version the layer list does not know yet. */
  private readonly early = new Map<string, { version: number; records: Map<number, LiveRecord> }>()
  private readonly timers = new Set<ReturnType<typeof setTimeout>>()
  private readonly abort = new AbortController()
  private frame = 0
  private ready = false
  private readonly ageing: ReturnType<typeof setInterval>

  constructor(private readonly host: DataHost) {
    this.ageing = setInterval(() => this.age(), AGE_MS)
  }

  destroy(): void {
    this.abort.abort()
    cancelAnimationFrame(this.frame)
    clearInterval(this.ageing)
    for (const timer of this.timers) clearTimeout(timer)
  }

  /** Takes the layer list; a new version starts over, keeping the old picture until the new one is there. */
  setLayers(layers: readonly LayerInfo[]): void {
    const wanted = new Map(layers.filter((one) => one.allowed).map((one) => [one.id, one]))
    for (const id of this.held.keys()) if (!wanted.has(id)) this.held.delete(id)
    for (const info of wanted.values()) {
      if (info.tiled || (info.geometry !== 'point' && !hasLabelPoints({ info }))) {
        this.held.delete(info.id)
        continue
      }
      const known = this.held.get(info.id)
      if (known && known.info.version === info.version) {
        known.info = info
        known.store.describe(info)
        continue
      }
      const store = new PointStore(info)
      this.held.set(info.id, { info, store, asked: false, loaded: false, tries: 0, whole: false, labels: null })
      const early = this.early.get(info.id)
      if (early?.version === info.version) store.apply([...early.records.values()], Date.now())
      if (early && early.version <= info.version) this.early.delete(info.id)
    }
  }

  /** Fetches what is visible and not there yet. */
  ask(): void {
    for (const [id, held] of this.held) if (!held.asked && this.host.visible(id)) void this.fetch(held)
  }

  private async fetch(held: Held): Promise<void> {
    held.asked = true
    const { id, version, geometry } = held.info
    const current = () => this.held.get(id) === held
    try {
      const what = geometry === 'point' ? 'p' : 'l'
      const features = await collection(`${this.host.tilesBase}/${what}/${id}/${version}`, this.abort.signal)
      if (!current()) return
      if (geometry === 'point') held.store.load(features, Date.now())
      else held.labels = features
      held.loaded = true
      held.whole = true
      this.schedule()
    } catch (error) {
      if (this.abort.signal.aborted || !current()) return
      const wait = RETRY_MS[held.tries]
      held.tries += 1
      this.host.failed(id, error instanceof Error ? error.message : String(error))
      if (wait === undefined) return
      const timer = setTimeout(() => {
        this.timers.delete(timer)
        if (current()) void this.fetch(held)
      }, wait)
      this.timers.add(timer)
    }
  }

  applyStates(layer: string, version: number, records: readonly LiveRecord[]): void {
    const held = this.held.get(layer)
    if (held && held.info.version === version) {
      if (held.store.apply(records, Date.now()) && held.loaded) this.schedule()
      return
    }
    if (held && held.info.version > version) return
    let early = this.early.get(layer)
    if (early?.version !== version) {
      if (early && early.version > version) return
      early = { version, records: new Map() }
      this.early.set(layer, early)
    }
    for (const record of records) early.records.set(record.ordinal, record)
  }

  private age(): void {
    const now = Date.now()
    let changed = false
    for (const held of this.held.values()) if (held.loaded && held.store.age(now)) changed = true
    if (changed) this.schedule()
  }

  /** The style is there; sources can be fed. */
  start(): void {
    this.ready = true
    this.refeed()
  }

  /** After a lost graphics context the sources are new: feed them everything again. */
  refeed(): void {
    for (const held of this.held.values()) held.whole = held.loaded
    this.schedule()
  }

  private schedule(): void {
    if (!this.ready || this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      this.flush()
    })
  }

  private flush(): void {
    for (const [id, held] of this.held) {
      if (!held.loaded) continue
      if (held.labels) {
        if (held.whole) this.feed(held, labelsOf(id), held.labels)
        held.whole = false
        continue
      }
      if (held.whole) {
        const all = held.store.collection()
        held.whole = false
        this.feed(held, pointsOf(id), all)
        if (this.host.map.getSource(dotsOf(id))) this.feed(held, dotsOf(id), all)
      } else {
        const source = this.host.map.getSource<GeoJSONSource>(pointsOf(id))
        if (!source) continue
        const difference = held.store.difference()
        if (difference) source.updateData(difference).catch((error: unknown) => this.host.failed(id, String(error)))
      }
    }
    this.host.flushed()
  }

  private feed(held: Held, source: string, data: FeatureCollection): void {
    const target = this.host.map.getSource<GeoJSONSource>(source)
    // No such source yet: the next flush tries again.
    if (!target) held.whole = true
    else target.setData(data).catch((error: unknown) => this.host.failed(held.info.id, String(error)))
  }

  /** Nothing waits to be fetched or drawn among the visible layers; a failed one no longer counts. */
  settled(): boolean {
    if (this.frame) return false
    return [...this.held].every(([id, held]) => !this.host.visible(id) || held.loaded || held.tries > 0)
  }

  /** Live values among the visible layers' features on the map. */
  drawnLive(): number {
    let count = 0
    for (const [id, held] of this.held) {
      if (held.loaded && !held.whole && isLive(held.info.kind) && this.host.visible(id)) count += held.store.valued()
    }
    return count
  }

  /** The point with this id; fetches its layer even when it is hidden. */
  find(layer: string, id: string): PointFeature | null {
    const held = this.held.get(layer)
    if (!held || held.info.geometry !== 'point') return null
    if (!held.asked) void this.fetch(held)
    return held.store.find(id)
  }
}
