/** The one store of the window: fed by `start` and by what the core tells, changed only through the core. */
import {
  type Acts,
  CallFailed,
  type Core,
  type Event,
  failureOf,
  type FeatureRef,
  type Job,
  type LayerInfo,
  type LiveBatch,
  type MapCamera,
  type Settings,
  type Start,
} from '../bridge'
import { t, tt } from '../shared/i18n.svelte'
import { Basemaps } from './basemaps.svelte'
import { LiveTables } from './live'
import { choiceOf, drawnChoice, type Model, modelOf, reduce } from './model'
import { Toasts } from './toasts.svelte'

/** The map, as far as the rest of the window may steer it. */
export interface MapSteering {
  fly(target: { bbox?: [number, number, number, number]; point?: [number, number]; zoom?: number }): void
  home(): void
  camera(): MapCamera
}

/** Opacity and camera change often; they are written down once they rest. */
const SETTLE_MS = 600
/** Two frames, also on a slow machine. */
const FLIGHT_BEGINS_MS = 150

/** The places of the rail. The map stays mounted under the others. */
export type Workplace = 'map' | 'data'

/** How a sync ended, and when the window heard of it (milliseconds since 1970). */
export interface SyncEnd {
  state: Exclude<Job['state'], 'running'>
  at: number
}

const sameRef = (a: FeatureRef, b: FeatureRef): boolean => a.layer === b.layer && a.id === b.id

/** Jobs that a call waits for: whoever called shows how they ended, where they asked. */
const ANSWERED = ['trial', 'recognise', 'import']

export class Desk {
  readonly core: Core
  readonly toasts = new Toasts()
  readonly live = new LiveTables()
  readonly basemaps: Basemaps
  model: Model = $state.raw() as Model
  selection = $state.raw<FeatureRef | null>(null)
  /** The one layer shown alone for the moment. */
  solo = $state<string | null>(null)
  /** The saved view that the camera and the layers were last taken from. */
  openedView = $state<string | null>(null)
  settingsOpen = $state(false)
  workplace = $state<Workplace>('map')
  syncEnd = $state.raw<SyncEnd | null>(null)
  map: MapSteering | null = null
  /** The feature the program was started for, until it is shown. */
  toOpen: FeatureRef | null

  #listeners = new Set<(batch: LiveBatch) => void>()
  #settle: ReturnType<typeof setTimeout> | undefined
  #writing = false
  #unwritten = false

  private constructor(core: Core, start: Start) {
    this.core = core
    this.basemaps = new Basemaps(core)
    this.toOpen = start.open
    this.#take(start)
  }

  static async open(core: Core): Promise<Desk> {
    // What the core says while it answers `start` must not be lost, nor come before it.
    const early: ((desk: Desk) => void)[] = []
    let opened: Desk | null = null
    const tell = (run: (desk: Desk) => void) => {
      if (opened) run(opened)
      else early.push(run)
    }
    await core.watch({
      event: (event) => tell((desk) => desk.event(event)),
      live: (batch) => tell((desk) => desk.batch(batch)),
      unreadable: (reason) => tell((desk) => desk.toasts.show('error', t('error.unreadable', { reason }))),
    })
    const desk = new Desk(core, await core.ask('start', {}))
    opened = desk
    for (const run of early) run(desk)
    // The map does not wait for it: it stands on the drawn one until then.
    desk.basemaps.load().catch((reason: unknown) => desk.failed(reason))
    return desk
  }

  #take(start: Start): void {
    this.live.start(start.states)
    this.model = modelOf(start)
  }

  event(event: Event): void {
    // A newer choice that is not yet written down outranks the echo of an older one.
    if (event.event === 'settings' && (this.#writing || this.#unwritten)) return
    if (event.event === 'job' && event.job.state === 'failed' && !ANSWERED.includes(event.job.kind)) {
      this.toasts.show('error', t('job.failed', { title: tt(event.job.title) }))
    }
    if (event.event === 'job' && event.job.kind === 'sync') {
      const { state } = event.job
      this.syncEnd = state === 'running' ? null : { state, at: Date.now() }
    }
    this.basemaps.event(event)
    const roleBefore = this.model.session.role
    const { model, notice } = reduce(this.model, event)
    this.model = model
    if (notice) this.toasts.show(notice.serious ? 'error' : 'warn', notice.message)
    if (model.session.role !== roleBefore) void this.#reload()
  }

  /** Another role sees other layers: the first picture is asked for anew. */
  async #reload(): Promise<void> {
    try {
      this.#take(await this.core.ask('start', {}))
    } catch (reason) {
      this.failed(reason)
    }
  }

  batch(batch: LiveBatch): void {
    if (!this.live.apply(batch, this.model.layers)) return
    for (const listener of this.#listeners) listener(batch)
  }

  onBatch(listener: (batch: LiveBatch) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  failed(reason: unknown): void {
    this.toasts.show('error', failureOf(reason).message)
  }

  /** An act whose failure is told to the person; null then. */
  async act<K extends keyof Acts>(call: K, args: Acts[K]['args']): Promise<Acts[K]['result'] | null> {
    try {
      return await this.core.act(call, args)
    } catch (reason) {
      this.failed(reason)
      return null
    }
  }

  layer(id: string): LayerInfo | undefined {
    return this.model.layers.find((layer) => layer.id === id)
  }

  // Selection

  select(ref: FeatureRef | null): void {
    this.selection = ref
  }

  /** Selects and brings into view: what a search result or a row of a list does. */
  goTo(ref: FeatureRef, place: { point: [number, number]; bbox?: [number, number, number, number] }): void {
    this.workplace = 'map'
    this.select(ref)
    const [w, s, e, n] = place.bbox ?? [0, 0, 0, 0]
    const target = place.bbox && (e > w || n > s) ? { bbox: place.bbox } : { point: place.point }
    // The inspector may open now and take room from the map, which would end a flight that had begun.
    requestAnimationFrame(() => requestAnimationFrame(() => this.selection === ref && this.map?.fly(target)))
  }

  /** Shows the feature the program was started for; resolves when the map is on its way. */
  async openAsked(): Promise<void> {
    const ref = this.toOpen
    if (!ref) return
    this.toOpen = null
    try {
      this.goTo(ref, await this.core.ask('feature', ref))
      await new Promise((resolve) => setTimeout(resolve, FLIGHT_BEGINS_MS))
    } catch (reason) {
      this.failed(reason)
    }
  }

  isFavourite(ref: FeatureRef): boolean {
    return this.model.settings.favourites.some((other) => sameRef(other, ref))
  }

  toggleFavourite(ref: FeatureRef): void {
    const { favourites } = this.model.settings
    const rest = favourites.filter((other) => !sameRef(other, ref))
    this.change({ favourites: rest.length < favourites.length ? rest : [...favourites, { layer: ref.layer, id: ref.id }] })
  }

  // Layers

  setLayer(layer: LayerInfo, choice: { visible?: boolean; opacity?: number }): void {
    if (this.solo !== null && choice.visible !== undefined) this.solo = null
    const { layers } = this.model.settings
    const before = choiceOf(this.model.settings, layer)
    this.change({ layers: { ...layers, [layer.id]: { ...before, ...choice } } })
    if (choice.visible !== undefined) this.openedView = null
  }

  toggleSolo(layer: string): void {
    this.solo = this.solo === layer ? null : layer
  }

  // Settings

  /** Takes a choice at once and writes it down when it rests. */
  change(change: Partial<Settings>): void {
    this.model = { ...this.model, settings: { ...this.model.settings, ...change } }
    this.#unwritten = true
    clearTimeout(this.#settle)
    this.#settle = setTimeout(() => void this.#write(), SETTLE_MS)
  }

  async #write(): Promise<void> {
    if (this.#writing || !this.#unwritten) return
    this.#writing = true
    this.#unwritten = false
    try {
      const settings = await this.core.act('set_settings', { settings: this.model.settings })
      if (!this.#unwritten) this.model = { ...this.model, settings }
    } catch (reason) {
      this.failed(reason)
    } finally {
      this.#writing = false
    }
    if (this.#unwritten) await this.#write()
  }

  /** Puts a map of others under the layers, or the drawn one (null). */
  async chooseBasemap(basemap: string | null): Promise<void> {
    const settings = await this.act('choose_basemap', { basemap })
    if (settings) this.change({ basemap: settings.basemap })
  }

  // Views

  async saveView(name: string): Promise<boolean> {
    if (!this.map) return false
    const { settings, layers } = this.model
    const choices = Object.fromEntries(layers.map((layer) => [layer.id, drawnChoice(settings, layer, this.solo)]))
    const before = new Set(this.model.views.map((view) => view.id))
    const views = await this.act('save_view', { name, camera: this.map.camera(), layers: choices })
    if (!views) return false
    this.model = { ...this.model, views }
    this.openedView = views.find((view) => !before.has(view.id))?.id ?? null
    this.toasts.show('ok', t('views.saved', { name }))
    return true
  }

  openView(id: string): void {
    const view = this.model.views.find((view) => view.id === id)
    if (!view) return
    this.workplace = 'map'
    this.solo = null
    this.change({ layers: { ...this.model.settings.layers, ...view.layers } })
    this.openedView = id
    this.map?.fly({ point: view.camera.center, zoom: view.camera.zoom })
  }

  async deleteView(id: string): Promise<void> {
    const views = await this.act('delete_view', { id })
    if (!views) return
    this.model = { ...this.model, views }
    if (this.openedView === id) this.openedView = null
  }

  // Who is at the desk

  /** Signs in; the failure's code tells whether a PIN is missing (`pin_needed`) or wrong (`pin_wrong`). */
  async signIn(name: string, role: Acts['sign_in']['args']['role'], pin?: string): Promise<string | null> {
    try {
      const session = await this.core.act('sign_in', { name, role, ...(pin ? { pin } : {}) })
      this.event({ event: 'session', session })
      return null
    } catch (reason) {
      if (!(reason instanceof CallFailed) || !['pin_needed', 'pin_wrong'].includes(reason.code)) this.failed(reason)
      return failureOf(reason).code
    }
  }

  async signOut(): Promise<void> {
    const session = await this.act('sign_out', {})
    if (session) this.event({ event: 'session', session })
  }
}
