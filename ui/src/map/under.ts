/**
 * Maps of others under the layers: pictures as they are, quieter than what lies on them; vector tiles drawn plainly from
 * the palette, by the names that their makers commonly give to layers, else by the kind of geometry.
 */
import type {
  ExpressionSpecification, FilterSpecification, LayerSpecification, RasterLayerSpecification, SourceSpecification,
} from 'maplibre-gl'
import { type Drawn, growing, HALO, Slot } from './drawing'
import { REGULAR } from './fonts'
import type { Palette } from './tokens'
import type { BasemapInfo, MapLanguage } from './types'

/** What every source and style layer of a base map begins with; no layer id begins with a tilde. */
export const UNDER = '~basemap'

export const isUnder = (id: string): boolean => id.startsWith(UNDER)

/** Without an answer of its source there is nothing to say how to draw it. */
type Known = BasemapInfo & { tiles: NonNullable<BasemapInfo['tiles']> }

/** What tiles are like is part of it: a source that is made of others is another source to the map. */
function sourceOf({ id, tiles }: Known): string {
  return `${UNDER}:${id}:${tiles.vector ? 'vector' : tiles.tile_size}:${tiles.min_zoom}-${tiles.max_zoom}`
}

export const isKnown = (basemap: BasemapInfo | null): basemap is Known => !!basemap?.tiles

export function underSource(basemap: Known, base: string): [string, SourceSpecification] {
  const { vector, min_zoom, max_zoom, bounds, tile_size } = basemap.tiles
  const shared = {
    tiles: [`${base}/b/${encodeURIComponent(basemap.id)}/{z}/{x}/{y}`],
    minzoom: min_zoom,
    maxzoom: max_zoom,
    ...(bounds ? { bounds } : {}),
  }
  return [sourceOf(basemap), vector ? { type: 'vector', ...shared } : { type: 'raster', tileSize: tile_size, ...shared }]
}

/**
 * Whether a style layer of the province gives way: the drawn land, water and roads lie where the base map has its own. What
 * one reads the map by stays: borders, names, and the areas that are clicked on.
 */
export function givesWay(id: string, kind: string): boolean {
  const part = id.slice(id.indexOf('/') + 1)
  switch (kind) {
    case 'outline':
      return part === 'land' || part.startsWith('glow')
    case 'water':
      return part === 'area' || part === 'shore'
    case 'river':
      return part === 'line'
    case 'road':
      return part === 'casing' || part === 'line'
    default:
      return false
  }
}

export function under(basemap: Known, palette: Palette, language: MapLanguage): Drawn[] {
  const layers = basemap.tiles.vector ? plain(basemap, palette, language) : [picture(basemap, palette)]
  return layers.map((spec) => ({ slot: Slot.Under, spec }))
}

/** Darkened where the theme is dark, so that light names and marks stay readable on it. */
function picture(basemap: Known, palette: Palette): RasterLayerSpecification {
  const paint = palette.theme === 'dark'
    ? { 'raster-brightness-max': 0.55, 'raster-saturation': -0.45, 'raster-contrast': -0.05 }
    : { 'raster-brightness-min': 0.25, 'raster-saturation': -0.3 }
  return { id: `${UNDER}/picture`, type: 'raster', source: sourceOf(basemap), paint: { ...paint, 'raster-fade-duration': 120 } }
}

type Theme = 'water' | 'wood' | 'land' | 'building' | 'border' | 'road' | 'place' | 'other'

/** OpenMapTiles, Protomaps, Shortbread and those named by hand. */
const NAMES: readonly (readonly [Theme, RegExp])[] = [
  ['water', /water|river|lake|ocean|sea|hydro|song|kenh/],
  ['building', /building|housenum/],
  ['border', /boundar|admin|border|commune|district|province|ranh/],
  ['road', /road|transport|street|highway|rail|bridge|duong/],
  ['wood', /wood|forest|park|green|landcover|vegetation/],
  ['land', /land|earth|site|pois?$/],
  ['place', /place|settlement|label|name/],
]

const themeOf = (layer: string): Theme => NAMES.find(([, words]) => words.test(layer.toLowerCase()))?.[0] ?? 'other'

const is = (kind: 'Polygon' | 'LineString' | 'Point'): FilterSpecification =>
  ['==', ['geometry-type'], kind]

/** Bottom to top. */
const ORDER: readonly Theme[] = ['land', 'wood', 'other', 'water', 'building', 'border', 'road', 'place']

function plain(basemap: Known, palette: Palette, language: MapLanguage): LayerSpecification[] {
  const { color } = palette
  const source = sourceOf(basemap)
  const background: LayerSpecification = {
    id: `${UNDER}/ground`, type: 'background', paint: { 'background-color': color['map-land'] },
  }
  const fill: Record<Theme, [tone: string, opacity: number]> = {
    land: [color['map-land'], 0.9], wood: [color['map-forest'], 0.8], other: [color['map-ward'], 0.25],
    water: [color['map-water'], 1], building: [color['map-ward'], 0.7], border: [color['map-ward'], 0.08],
    road: [color['map-road-pr'], 0.6], place: [color['map-ward'], 0.15],
  }
  const line: Record<Theme, [tone: string, width: number]> = {
    land: [color['map-ward'], 0.4], wood: [color['map-forest'], 0.5], other: [color['map-road-tr'], 1],
    water: [color['map-river'], 1.2], building: [color['map-ward'], 0.4], border: [color['map-border'], 1],
    road: [color['map-road-tr'], 1.4], place: [color['map-ward'], 0.5],
  }
  const sorted = basemap.tiles.vector_layers
    .map((layer) => ({ id: layer.id, fields: layer.fields, theme: themeOf(layer.id) }))
    .sort((a, b) => ORDER.indexOf(a.theme) - ORDER.indexOf(b.theme))
  const areas = sorted.flatMap(({ id, theme }): LayerSpecification[] => [{
    id: `${UNDER}/${id}/area`, type: 'fill', source, 'source-layer': id, filter: is('Polygon'),
    paint: { 'fill-color': fill[theme][0], 'fill-opacity': fill[theme][1] },
  }])
  const lines = sorted.flatMap(({ id, theme }): LayerSpecification[] => [{
    id: `${UNDER}/${id}/line`, type: 'line', source, 'source-layer': id,
    filter: theme === 'border' || theme === 'other' ? ['!=', ['geometry-type'], 'Point'] : is('LineString'),
    layout: { 'line-join': 'round', 'line-cap': 'round' },
    paint: {
      'line-color': line[theme][0],
      'line-width': growing([6, line[theme][1] * 0.5], [12, line[theme][1]], [17, line[theme][1] * 5]),
      'line-opacity': 0.85,
    },
  }])
  const names = sorted.filter(({ theme, fields }) => theme === 'place' && 'name' in fields)
    .map(({ id }): LayerSpecification => ({
      id: `${UNDER}/${id}/name`, type: 'symbol', source, 'source-layer': id, filter: is('Point'), minzoom: 8,
      layout: { 'text-field': named(language), 'text-font': REGULAR, 'text-size': 11, 'text-padding': 8, 'text-max-width': 8 },
      paint: { 'text-color': color['map-label-2'], 'text-halo-color': color['map-halo'], 'text-halo-width': HALO, 'text-opacity': 0.8 },
    }))
  return [background, ...areas, ...lines, ...names]
}

const named = (language: MapLanguage): ExpressionSpecification => [
  'coalesce', ['get', `name:${language}`], ['get', `name_${language}`], ['to-string', ['get', 'name']],
]
