/** Composes the whole style: background, every layer's look in the draw order, the selection on top. Pure. */
import type { FeatureCollection } from 'geojson'
import type { LayerSpecification, SourceSpecification } from 'maplibre-gl'
import {
  around, byZoom, dotsOf, type Drawing, type Drawn, HALO, labelsOf, pointsOf, Slot, tilesOf,
} from './drawing'
import { SEMIBOLD } from './fonts'
import { hasLabelPoints, looks } from './layers'
import { CLUSTERED } from './points'
import type { Palette } from './tokens'
import type { BasemapInfo, FeatureRef, LayerChoice, LayerInfo, MapLanguage } from './types'
import { givesWay, isKnown, under, underSource } from './under'

export interface StyleState {
  layers: readonly LayerInfo[]
  choices: ReadonlyMap<string, LayerChoice>
  palette: Palette
  language: MapLanguage
  tilesBase: string
  selected: FeatureRef | null
  /** A map of others under the layers; null for the drawn one. */
  basemap: BasemapInfo | null
}

export interface Composition {
  sources: Map<string, SourceSpecification>
  layers: LayerSpecification[]
}

/** The source of the selected point; no layer id begins with a tilde. */
export const SELECTION = '~selection:points'

const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] }
const MIN_TILE_ZOOM = 5
const MAX_TILE_ZOOM = 16

export const tileAddress = (base: string, info: LayerInfo): string => `${base}/v/${info.id}/${info.version}/{z}/{x}/{y}`

function sourcesOf(info: LayerInfo, base: string): [string, SourceSpecification][] {
  if (info.geometry === 'point' && !info.tiled) {
    const rule = CLUSTERED[info.kind]
    const cluster = rule ? { cluster: true, clusterMaxZoom: rule.below - 1, clusterRadius: rule.radius } : {}
    const points: SourceSpecification = { type: 'geojson', data: EMPTY, maxzoom: 16, ...cluster }
    const dots: [string, SourceSpecification][] = rule?.dots
      ? [[dotsOf(info.id), { type: 'geojson', data: EMPTY, maxzoom: rule.dots }]]
      : []
    return [[pointsOf(info.id), points], ...dots]
  }
  const tiles: SourceSpecification = {
    type: 'vector', tiles: [tileAddress(base, info)],
    minzoom: Math.max(MIN_TILE_ZOOM, info.remote?.zooms?.[0] ?? 0), maxzoom: Math.min(MAX_TILE_ZOOM, info.remote?.zooms?.[1] ?? MAX_TILE_ZOOM),
  }
  const labels: [string, SourceSpecification][] = hasLabelPoints({ info }) && !info.tiled
    ? [[labelsOf(info.id), { type: 'geojson', data: EMPTY, maxzoom: 16 }]]
    : []
  return [[tilesOf(info.id), tiles], ...labels]
}

/** Ring, mark and name of a selected point; outline of a selected line or polygon. */
function selection(state: StyleState): Drawn[] {
  const { color, theme } = state.palette
  const slot = Slot.Selection
  const info = state.layers.find((one) => one.id === state.selected?.layer)
  const outlined = info && info.geometry !== 'point' && state.selected ? { info, id: state.selected.id } : null
  const edge = (part: string, tone: string, width: number): Drawn[] =>
    outlined
      ? [{
          slot,
          spec: {
            // The layer's id is part of it: another layer's outline is another style layer.
            id: `~selection/${part}/${outlined.info.id}`, type: 'line',
            source: tilesOf(outlined.info.id), 'source-layer': outlined.info.id,
            filter: ['==', ['get', 'id'], outlined.id],
            layout: { 'line-join': 'round', 'line-cap': 'round' },
            paint: { 'line-color': tone, 'line-width': byZoom([8, width * 0.8], [14, width]) },
          },
        }]
      : []
  return [
    ...edge('halo', 'rgba(11,17,20,0.5)', 9),
    ...edge('white', '#FFFFFF', 6),
    ...edge('accent', color.accent, 2.6),
    {
      slot,
      spec: {
        id: '~selection/ring', type: 'symbol', source: SELECTION,
        layout: { 'icon-image': ['concat', 'ring:', ['get', 'ring'], `:${theme}`], 'icon-overlap': 'always', 'icon-padding': 0 },
      },
    },
    {
      slot,
      spec: {
        id: '~selection/mark', type: 'symbol', source: SELECTION,
        layout: {
          'icon-image': ['concat', ['get', 'tc_mark'], `:${theme}`],
          'icon-size': 1.15,
          'icon-overlap': 'always',
          'icon-padding': 0,
        },
      },
    },
    {
      // Below the marks, so that it takes a side where no mark is; above the other names.
      slot: Slot.DataLabels,
      spec: {
        id: '~selection/name', type: 'symbol', source: SELECTION,
        layout: {
          'text-field': ['to-string', ['get', `tc_label_${state.language}`]],
          'text-font': SEMIBOLD,
          'text-size': 14,
          'text-line-height': 1.35,
          'text-max-width': 12,
          'text-variable-anchor-offset': around(2.6),
          'text-justify': 'auto',
          'text-overlap': 'always',
        },
        paint: { 'text-color': color['map-label'], 'text-halo-color': color['map-halo'], 'text-halo-width': HALO },
      },
    },
  ]
}

/** Layers that may be seen, with what the person chose. */
function drawings(state: StyleState): Drawing[] {
  const { palette, language, selected } = state
  return state.layers
    .filter((info) => info.allowed)
    .map((info) => {
      const choice = state.choices.get(info.id) ?? { visible: info.visible, opacity: info.opacity }
      const opacity = Math.min(1, Math.max(0, choice.opacity))
      return { info, palette, language, selected, visible: choice.visible, opacity }
    })
}

export function compose(state: StyleState): Composition {
  const shown = drawings(state)
  const basemap = isKnown(state.basemap) ? state.basemap : null
  const below = basemap ? under(basemap, state.palette, state.language) : []
  const own = shown.flatMap((drawing) => looks(drawing).filter(({ spec }) => !basemap || !givesWay(spec.id, drawing.info.kind)))
  const drawn = [...below, ...own, ...selection(state)]
  // A stable sort: within a slot, layers keep the core's order.
  drawn.sort((a, b) => a.slot - b.slot)
  const background: LayerSpecification = {
    id: 'background', type: 'background', paint: { 'background-color': state.palette.color['map-out'] },
  }
  const sources = new Map(shown.flatMap(({ info }) => sourcesOf(info, state.tilesBase)))
  if (basemap) sources.set(...underSource(basemap, state.tilesBase))
  sources.set(SELECTION, { type: 'geojson', data: EMPTY, maxzoom: 18 })
  return { sources, layers: [background, ...drawn.map((one) => one.spec)] }
}
