import * as maplibregl from 'maplibre-gl'
import type { GeoJSONSource } from 'maplibre-gl'
import 'maplibre-gl/dist/maplibre-gl.css'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { apply } from './apply'
import { keepFarTilesOf } from './backdrop'
import { PointData } from './data'
import { layerOf } from './drawing'
import { fontsReady, mendTallLetters } from './fonts'
import { scaleDenominator } from './scale'
import { hit, openCluster, ringed, tiledPoint } from './select'
import { compose, type Composition, SELECTION } from './style'
import { provideSymbols } from './symbols'
import { type Palette, readPalette } from './tokens'
import { isUnder } from './under'
import type {
  BasemapInfo, BBox, FeatureRef, LayerChoice, LayerInfo, LiveRecord, MapCamera, MapLanguage, MapOptions, MapPadding, MapTheme,
} from './types'

maplibregl.setWorkerUrl(workerUrl)

/** DESIGN.md, motion: 700 ms camera. */
const CAMERA_MS = 700
const MARGIN_PX = 28
const MIN_ZOOM = 6
const MAX_ZOOM = 19
/** A lost graphics context that stays away longer is reported. */
const CONTEXT_PATIENCE_MS = 8000

/** The one map of a window. Never unmounted: places change what is on it, not the map. */
export class ProvinceMap {
  private readonly map: maplibregl.Map
  private readonly data: PointData
  private readonly palettes = new Map<MapTheme, Palette>()
  private readonly choices = new Map<string, LayerChoice>()
  /** Layers with a reported failure, and the version it happened to: one message each. */
  private readonly reported = new Map<string, number>()
  private layers: readonly LayerInfo[] = []
  private theme: MapTheme
  private language: MapLanguage
  private selected: FeatureRef | null = null
  private basemap: BasemapInfo | null = null
  private drawn: Composition | null = null
  private composing = 0
  private alive = true
  /** What the selection source holds, to leave it alone while nothing changed. */
  private ringText = ''
  private contextTimer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly container: HTMLElement,
    private readonly options: MapOptions,
  ) {
    this.theme = options.theme
    this.language = options.language
    const { camera, profile } = options
    const map = new maplibregl.Map({
      container,
      style: { version: 8, sources: {}, layers: [], transition: { duration: 160, delay: 0 } },
      ...(camera
        ? { center: camera.center, zoom: camera.zoom, bearing: camera.bearing, pitch: camera.pitch }
        : { bounds: profile.bbox, fitBoundsOptions: { padding: MARGIN_PX } }),
      minZoom: MIN_ZOOM,
      maxZoom: MAX_ZOOM,
      attributionControl: false,
      renderWorldCopies: false,
      fadeDuration: 120,
      // The style is built here and covered by tests; checking it again costs time at every change.
      validateStyle: import.meta.env.DEV,
      clickTolerance: 4,
    })
    this.map = map
    this.data = new PointData({
      tilesBase: options.tilesBase,
      map,
      visible: (layer) => this.visible(layer),
      flushed: () => this.drawSelection(),
      failed: (layer, message) => this.fail(layer, message),
    })
    mendTallLetters(map)
    provideSymbols(map, (theme) => this.palette(theme))
    this.describe()
    this.listen()
    void this.begin()
  }

  private async begin(): Promise<void> {
    const styled = new Promise<void>((resolve) => {
      if (this.map.isStyleLoaded()) resolve()
      else this.map.once('style.load', () => resolve())
    })
    await Promise.all([fontsReady(), styled])
    if (!this.alive) return
    this.drawn = { sources: new Map(), layers: [] }
    this.compose()
    this.data.start()
    this.moved()
  }

  // --- what the window tells the map -------------------------------------------------------------------------------

  setLayers(layers: LayerInfo[]): void {
    this.layers = layers
    // A layer taken off and put back is a new attempt.
    for (const id of this.reported.keys()) if (!layers.some((one) => one.id === id)) this.reported.delete(id)
    this.data.setLayers(layers)
    this.soon()
  }

  setChoice(layer: string, choice: LayerChoice): void {
    this.choices.set(layer, choice)
    this.soon()
  }

  applyStates(layer: string, version: number, states: LiveRecord[]): void {
    this.data.applyStates(layer, version, states)
  }

  select(ref: FeatureRef | null): void {
    if (ref?.layer === this.selected?.layer && ref?.id === this.selected?.id) return
    this.selected = ref
    this.soon()
  }

  /** A map of others to lie under the layers; null for the drawn one. */
  setBasemap(basemap: BasemapInfo | null): void {
    // What is kept of it changes often and is not drawn.
    const look = (one: BasemapInfo | null) => JSON.stringify(one && [one.id, one.url, one.tiles])
    if (look(basemap) === look(this.basemap)) return
    this.basemap = basemap
    this.soon()
  }

  /** Asks for the base map's tiles again: its source has come back. */
  refreshBasemap(): void {
    for (const id of this.drawn?.sources.keys() ?? []) if (isUnder(id)) this.map.refreshTiles(id)
  }

  setTheme(theme: MapTheme): void {
    if (theme === this.theme) return
    this.theme = theme
    this.soon()
  }

  setLanguage(language: MapLanguage): void {
    if (language === this.language) return
    this.language = language
    this.describe()
    this.soon()
  }

  // --- the camera --------------------------------------------------------------------------------------------------

  setPadding(padding: MapPadding): void {
    this.map.setPadding(padding)
  }

  /** Moves to a box or a point; jumps for people who asked for less motion. */
  fly(target: { bbox?: BBox; point?: [number, number]; zoom?: number }): void {
    const { bbox, point, zoom } = target
    const pointlike = bbox && bbox[0] === bbox[2] && bbox[1] === bbox[3]
    if (bbox && !pointlike) {
      this.map.fitBounds(bbox, { padding: MARGIN_PX, maxZoom: zoom ?? 17, duration: CAMERA_MS })
      return
    }
    const center = point ?? (bbox ? ([bbox[0], bbox[1]] as [number, number]) : undefined)
    if (!center && zoom === undefined) return
    this.map.flyTo({ ...(center ? { center } : {}), zoom: zoom ?? Math.max(this.map.getZoom(), 12), duration: CAMERA_MS })
  }

  zoomBy(delta: number): void {
    this.map.easeTo({ zoom: this.map.getZoom() + delta, duration: 160 })
  }

  resetNorth(): void {
    this.map.easeTo({ bearing: 0, pitch: 0, duration: CAMERA_MS / 2 })
  }

  /** The whole province. */
  home(): void {
    const outline = this.layers.find((one) => one.kind === 'outline')?.bbox
    this.map.fitBounds(outline ?? this.options.profile.bbox, { padding: MARGIN_PX, bearing: 0, pitch: 0, duration: CAMERA_MS })
  }

  camera(): MapCamera {
    const { lng, lat } = this.map.getCenter()
    return { center: [lng, lat], zoom: this.map.getZoom(), bearing: this.map.getBearing(), pitch: this.map.getPitch() }
  }

  get center(): [number, number] {
    const { lng, lat } = this.map.getCenter()
    return [lng, lat]
  }

  resize(): void {
    this.map.resize()
  }

  destroy(): void {
    this.alive = false
    clearTimeout(this.contextTimer)
    cancelAnimationFrame(this.composing)
    this.data.destroy()
    this.map.remove()
  }

  // --- drawing -----------------------------------------------------------------------------------------------------

  private palette(theme: MapTheme): Palette {
    const known = this.palettes.get(theme) ?? readPalette(this.container, theme)
    this.palettes.set(theme, known)
    return known
  }

  private visible(layer: string): boolean {
    const info = this.layers.find((one) => one.id === layer)
    return !!info?.allowed && (this.choices.get(layer)?.visible ?? info.visible)
  }

  /** Composes at the next frame, however many things changed until then. */
  private soon(): void {
    if (this.composing) return
    this.composing = requestAnimationFrame(() => {
      this.composing = 0
      this.compose()
    })
  }

  private compose(): void {
    if (!this.drawn) return
    const next = compose({
      layers: this.layers,
      choices: this.choices,
      palette: this.palette(this.theme),
      language: this.language,
      tilesBase: this.options.tilesBase,
      selected: this.selected,
      basemap: this.basemap,
    })
    apply(this.map, this.drawn, next)
    keepFarTilesOf(this.map, [...next.sources.keys()].filter((id) => !isUnder(id)))
    const added = [...next.sources.keys()].some((id) => !this.drawn?.sources.has(id))
    this.drawn = next
    this.data.ask()
    if (added) this.data.refeed()
    this.drawSelection()
  }

  private drawSelection(): void {
    const feature = this.selected && (this.data.find(this.selected.layer, this.selected.id) ?? tiledPoint(this.map, this.layers, this.selected))
    const source = this.map.getSource<GeoJSONSource>(SELECTION)
    const content = ringed(feature)
    const text = JSON.stringify(content)
    if (!source || text === this.ringText) return
    this.ringText = text
    source.setData(content).catch((error: unknown) => this.fail(null, String(error)))
  }

  private describe(): void {
    const canvas = this.map.getCanvas()
    canvas.setAttribute('role', 'application')
    // The focus ring would lie outside the window.
    canvas.style.outlineOffset = '-3px'
    canvas.setAttribute('aria-label', this.options.label ?? this.options.profile.title[this.language])
  }

  // --- what the map tells the window -------------------------------------------------------------------------------

  private listen(): void {
    const { map } = this
    const { callbacks } = this.options
    map.on('move', () => this.moved())
    map.on('resize', () => this.moved())
    map.on('click', (event) => this.choose(event.point))
    let pointing = 0
    map.on('mousemove', (event) => {
      if (pointing) return
      pointing = requestAnimationFrame(() => {
        pointing = 0
        if (!this.alive) return
        callbacks.pointer([event.lngLat.lng, event.lngLat.lat])
        if (map.isMoving() || !this.drawn) return
        map.getCanvas().style.cursor = hit(map, event.point, 'points') ? 'pointer' : ''
      })
    })
    map.on('mouseout', () => {
      cancelAnimationFrame(pointing)
      pointing = 0
      callbacks.pointer(null)
    })
    map.getCanvas().addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return
      event.preventDefault()
      this.choose(map.project(map.getCenter()))
    })
    map.on('idle', () => {
      // The tile that holds the selected point may just have come.
      if (this.drawn) this.drawSelection()
      if (this.drawn && this.data.settled()) callbacks.idle(this.data.drawnLive())
    })
    map.on('error', (event) => {
      const source: unknown = 'sourceId' in event ? event.sourceId : undefined
      // The core tells of a base map's source itself.
      if (typeof source === 'string' && isUnder(source)) return
      this.fail(typeof source === 'string' ? layerOf(source) : null, event.error.message)
    })
    map.on('webglcontextlost', () => {
      this.contextTimer = setTimeout(() => this.fail(null, 'webglcontextlost'), CONTEXT_PATIENCE_MS)
    })
    map.on('webglcontextrestored', () => {
      clearTimeout(this.contextTimer)
      mendTallLetters(map)
      // The map restores its style by itself; what the sources held is put back from here.
      map.once('style.load', () => {
        this.ringText = ''
        if (this.drawn) keepFarTilesOf(map, [...this.drawn.sources.keys()].filter((id) => !isUnder(id)))
        this.data.refeed()
      })
    })
  }

  private moved(): void {
    const { map } = this
    const box = map.getBounds()
    const bounds: BBox = [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()]
    this.options.callbacks.moved(this.camera(), bounds, scaleDenominator(map.getZoom(), map.getCenter().lat))
  }

  private choose(at: { x: number; y: number }): void {
    if (!this.drawn) return
    const found = hit(this.map, at)
    if (found?.kind === 'cluster') {
      openCluster(this.map, found, CAMERA_MS / 2).catch((error: unknown) => this.fail(layerOf(found.source), String(error)))
    } else {
      this.options.callbacks.selected(found?.ref ?? null)
    }
  }

  private fail(layer: string | null, message: string): void {
    if (!this.alive) return
    const version = this.layers.find((one) => one.id === layer)?.version ?? -1
    const key = layer ?? `*${message}`
    if (this.reported.get(key) === version) return
    this.reported.set(key, version)
    this.options.callbacks.failed(layer, message)
    // Whoever waits for the map to be idle need not wait for this.
    this.map.triggerRepaint()
  }
}
