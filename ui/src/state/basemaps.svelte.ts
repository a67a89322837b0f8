/** The maps of others that can lie under the layers: what the core says of them, and what a person does with them. */
import type { BasemapInfo, BBox, Core, Event, Job, PreloadPlan } from '../bridge'

export class Basemaps {
  list = $state.raw<BasemapInfo[]>([])
  /** Grows when the chosen one's source has come back: its tiles are asked for again. */
  returned = $state(0)
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  async load(): Promise<void> {
    this.list = await this.#core.ask('basemaps', {})
  }

  event(event: Event): void {
    if (event.event === 'basemaps') this.list = event.basemaps
    if (event.event !== 'tile_set' || event.state.basemap === null) return
    const { state } = event
    this.list = this.list.map((one) => {
      if (one.id !== state.basemap) return one
      const was = one.state.status
      if (one.chosen && state.status === 'ok' && (was === 'offline' || was === 'error')) this.returned += 1
      return { ...one, state }
    })
  }

  find(id: string | null): BasemapInfo | null {
    return this.list.find((one) => one.id === id) ?? null
  }
}

/** The job that fetches a base map beforehand, if one runs. */
export const preloadOf = (jobs: readonly Job[], basemap: string): Job | undefined =>
  jobs.find((job) => job.kind === 'preload' && job.source === basemap)

/** So deep an area is offered to be fetched: what one sees now, and two steps closer. */
const DEEPER = 2

/** The zooms to fetch for what is seen at `zoom`. */
export function zoomsFor(basemap: BasemapInfo, zoom: number): [min: number, max: number] {
  const { min_zoom, max_zoom, tile_size, vector } = basemap.tiles ?? { min_zoom: 0, max_zoom: 19, tile_size: 256, vector: false }
  // The map counts its zooms in tiles of 512 pixels.
  const shown = Math.round(zoom + (vector ? 0 : Math.log2(512 / tile_size)))
  const max = Math.min(max_zoom, Math.max(min_zoom, shown + DEEPER))
  return [Math.min(max, Math.max(min_zoom, 5)), max]
}

export const planArgs = (basemap: BasemapInfo, bbox: BBox | null, zoom: number, count_only: boolean) => {
  const [min_zoom, max_zoom] = zoomsFor(basemap, zoom)
  return { basemap: basemap.id, bbox, min_zoom, max_zoom, count_only }
}

export type { PreloadPlan }
