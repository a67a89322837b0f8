/** Where the map stands and what the pointer is over: for the scale bar, the status bar and the notices. */
import type { MapCamera, Place } from '../bridge'
import type { Desk } from './desk.svelte'

const ASK_EVERY_MS = 80
const KEEP_CAMERA_AFTER_MS = 1_200

type Bounds = [number, number, number, number]

export class View {
  center = $state.raw<[number, number]>([0, 0])
  /** Denominator of the map's scale at its centre; 0 before the first picture. */
  scale = $state(0)
  bounds = $state.raw<Bounds | null>(null)
  /** Under the pointer, else the centre. */
  at = $state.raw<[number, number] | null>(null)
  place = $state.raw<Place | null>(null)
  /** Layers that could not be drawn, and why. The empty name stands for the map itself. */
  failures = $state.raw<ReadonlyMap<string, string>>(new Map())
  drawn = $state(false)

  readonly #desk: Desk
  #pointer: [number, number] | null = null
  #zoom = 0
  #asked = 0
  #placeTimer: ReturnType<typeof setTimeout> | undefined
  #movedTimer: ReturnType<typeof setTimeout> | undefined
  #cameraTimer: ReturnType<typeof setTimeout> | undefined

  constructor(desk: Desk) {
    this.#desk = desk
  }

  moved(camera: MapCamera, bounds: Bounds, scale: number): void {
    this.center = camera.center
    this.bounds = bounds
    this.scale = scale
    this.#zoom = camera.zoom
    if (!this.#pointer) this.#look(camera.center)
    // The core only needs to know where the map is by now, not every frame on the way.
    this.#movedTimer ??= setTimeout(() => {
      this.#movedTimer = undefined
      if (this.bounds) this.#desk.core.ask('moved', { zoom: this.#zoom, bbox: this.bounds }).catch(() => {})
    }, 120)
    clearTimeout(this.#cameraTimer)
    this.#cameraTimer = setTimeout(() => {
      const current = this.#desk.map?.camera()
      if (current) this.#desk.change({ camera: current })
    }, KEEP_CAMERA_AFTER_MS)
  }

  pointer(at: [number, number] | null): void {
    this.#pointer = at
    this.#look(at ?? this.center)
  }

  #look(at: [number, number]): void {
    this.at = at
    this.#placeTimer ??= setTimeout(() => {
      this.#placeTimer = undefined
      void this.#ask()
    }, ASK_EVERY_MS)
  }

  async #ask(): Promise<void> {
    if (!this.at) return
    const [lon, lat] = this.at
    const mine = ++this.#asked
    try {
      const place = await this.#desk.core.ask('place', { lon, lat })
      if (mine === this.#asked) this.place = place
    } catch {
      if (mine === this.#asked) this.place = null
    }
  }

  failed(layer: string | null, message: string): void {
    this.failures = new Map(this.failures).set(layer ?? '', message)
  }

  mended(layer: string): void {
    const rest = new Map(this.failures)
    rest.delete(layer)
    this.failures = rest
  }

  stop(): void {
    clearTimeout(this.#placeTimer)
    clearTimeout(this.#movedTimer)
    clearTimeout(this.#cameraTimer)
  }
}
