/** What the builders of style layers share: slots of the draw order, and the state they draw in. */
import type { ExpressionSpecification, FilterSpecification, LayerSpecification } from 'maplibre-gl'
import type { MapSymbol } from './symbols'
import { symbolId } from './symbols'
import type { Palette } from './tokens'
import type { FeatureRef, LayerInfo, MapLanguage } from './types'

/**
 * DESIGN.md's draw order, bottom to top. MapLibre finds room from the top down: no label covers a mark, and data
 * labels beat place names.
 */
export enum Slot {
  /** A base map of others. */
  Under,
  Land,
  Parks,
  Lots,
  Water,
  Borders,
  Outline,
  Roads,
  OtherAreas,
  AreaLabels,
  RiverLabels,
  RoadLabels,
  PlaceLabels,
  DataLabels,
  Facilities,
  Gates,
  Cameras,
  QuietStations,
  Stations,
  Incidents,
  Selection,
}

/** A style layer and its place in the draw order. */
export interface Drawn {
  slot: Slot
  spec: LayerSpecification
}

/** All that a layer's look depends on. */
export interface Drawing {
  info: LayerInfo
  palette: Palette
  language: MapLanguage
  visible: boolean
  opacity: number
  /** The selected feature; its own layer leaves its mark and label to the selection. */
  selected: FeatureRef | null
}

/** Names of the sources a layer draws from. The layer's id is always what stands before the colon. */
export const tilesOf = (layer: string): string => layer
export const pointsOf = (layer: string): string => `${layer}:points`
/** The same points, never clustered. */
export const dotsOf = (layer: string): string => `${layer}:dots`
export const labelsOf = (layer: string): string => `${layer}:labels`
/** The layer a source or style layer belongs to; layer ids hold neither sign. */
export const layerOf = (source: string): string => source.split(/[:/]/)[0] ?? source

type Stops = readonly (readonly [zoom: number, value: number | ExpressionSpecification])[]

/** Linear by zoom. */
export function byZoom(...stops: Stops): ExpressionSpecification {
  return ['interpolate', ['linear'], ['zoom'], ...stops.flat()] as unknown as ExpressionSpecification
}

/** Doubling by zoom, as ground widths do. */
export function growing(...stops: Stops): ExpressionSpecification {
  return ['interpolate', ['exponential', 1.6], ['zoom'], ...stops.flat()] as unknown as ExpressionSpecification
}

/** Where a layer's tiles are found. */
export const tiles = (d: Drawing) => ({ source: tilesOf(d.info.id), 'source-layer': d.info.id })

/** Where a layer's points are found. */
export const points = (d: Drawing) => (d.info.tiled ? tiles(d) : { source: pointsOf(d.info.id) })

/** Where the names of a polygon layer's features stand: label points of their own. */
export const labels = (d: Drawing) =>
  d.info.tiled ? { source: tilesOf(d.info.id), 'source-layer': labelsOf(d.info.id) } : { source: labelsOf(d.info.id) }

/** The feature's name in the language on screen. */
export function nameOf(d: Drawing): ExpressionSpecification {
  const local: ExpressionSpecification = ['to-string', ['get', 'name']]
  return d.language === 'en' ? ['coalesce', ['get', 'name_en'], local] : local
}

export const image = (symbol: MapSymbol, d: Drawing): string => symbolId(symbol, d.palette.theme)

export const visibility = (d: Drawing): 'visible' | 'none' => (d.visible ? 'visible' : 'none')

/** Without the selected feature, which the selection draws. */
export function unselected(d: Drawing, filter?: ExpressionSpecification): FilterSpecification {
  const id = d.selected?.layer === d.info.id ? d.selected.id : null
  const parts: ExpressionSpecification[] = []
  if (filter) parts.push(filter)
  if (id !== null) parts.push(['!=', ['get', 'id'], id])
  return ['all', ...parts]
}

/** Places for a name around a mark, best first, `gap` ems from its middle. */
export function around(gap: number): ExpressionSpecification {
  const upright = gap + 0.3
  return [
    'literal',
    ['left', [gap, 0], 'right', [-gap, 0], 'bottom', [0, -upright], 'top', [0, upright]],
  ] as unknown as ExpressionSpecification
}

/** Halo of labels: 3 px in DESIGN.md counts both sides. */
export const HALO = 1.6

/** Pixels a metre takes at zoom 0 and the province's latitude (11°). */
const PX_PER_M = 512 / (40_075_016.686 * Math.cos((11 * Math.PI) / 180))

/** True where a polygon of `area_m2`, taken as a square-ish figure, holds a label `px` wide. */
export function fits(px: number): ExpressionSpecification {
  const needed = (px / (0.8 * PX_PER_M)) ** 2
  return ['>=', ['to-number', ['get', 'area_m2'], 0], ['/', needed, ['^', 4, ['zoom']]]]
}
