/** Looks of point layers: facilities, cameras, stations. Their sources are GeoJSON, clustered where DESIGN.md says so. */
import type { ExpressionSpecification, FilterSpecification } from 'maplibre-gl'
import {
  around, byZoom, dotsOf, type Drawing, type Drawn, HALO, pointsOf, Slot, unselected, visibility,
} from './drawing'
import { MEDIUM, REGULAR, SEMIBOLD } from './fonts'
import { iconOf } from './live'
import type { LayerKind } from './types'

/** From this zoom on points stand alone; `dots` below which they are specks, where the kind has that. */
export interface Clustering {
  below: number
  radius: number
  dots?: number
}

export const CLUSTERED: Partial<Record<LayerKind, Clustering>> = {
  camera: { below: 12, radius: 48 },
  school: { below: 13, radius: 56, dots: 11 },
  clinic: { below: 13, radius: 48, dots: 11 },
}

const SINGLE: ExpressionSpecification = ['!', ['has', 'point_count']]

/** The mark a feature's state asks for, in the theme on screen. */
const mark = (d: Drawing): ExpressionSpecification => ['concat', ['get', 'tc_mark'], `:${d.palette.theme}`]

const label = (d: Drawing): ExpressionSpecification => ['to-string', ['get', `tc_label_${d.language}`]]
const figure = (d: Drawing): ExpressionSpecification => ['to-string', ['get', `tc_figure_${d.language}`]]

interface Words {
  font: string[]
  size: ExpressionSpecification
  /** From the mark's middle, in ems: beyond the mark's own picture, or the label would collide with it. */
  gap: ExpressionSpecification
  /** Drawn even where there is no room, as a last resort over its neighbours. */
  strong?: boolean
  minzoom: number
}

/** True where the mark's name holds one of these. */
const marked = (...parts: string[]): ExpressionSpecification => [
  'any', ...parts.map((part): ExpressionSpecification => ['in', part, ['to-string', ['get', 'tc_mark']]]),
]

/** Badges make a mark wider. */
const FACILITY_GAP: ExpressionSpecification = ['case', marked(':fresh', ':never'), around(1.2), around(1.6)]
const STATION_GAP: ExpressionSpecification = ['case', marked(':fresh', ':never'), around(1.35), around(1.65)]
/** Circle and square are the narrow ones. */
const AQI_GAP: ExpressionSpecification = [
  'case', ['all', marked('aqi:1:', 'aqi:2:'), marked(':fresh')], around(1.45), around(1.8),
]

/**
 * Names and figures of the marks, as a style layer of their own: drawn in the marks' layer, a label would take its room
 * before the neighbour's mark has its.
 */
function words(
  d: Drawing,
  filter: FilterSpecification,
  text: ExpressionSpecification,
  look: Words,
): Drawn {
  const { color } = d.palette
  return {
    slot: Slot.DataLabels,
    spec: {
      id: `${d.info.id}/name`, type: 'symbol', source: pointsOf(d.info.id), minzoom: look.minzoom, filter,
      layout: {
        visibility: visibility(d),
        'symbol-sort-key': ['-', 0, ['get', 'tc_rank']],
        'text-field': text,
        'text-font': look.font,
        'text-size': look.size,
        'text-variable-anchor-offset': look.gap,
        'text-overlap': look.strong ? 'always' : 'never',
        'text-justify': 'auto',
        'text-line-height': 1.35,
        'text-max-width': 11,
        'text-padding': 1,
      },
      paint: {
        'text-color': color[look.strong ? 'map-label' : 'map-label-2'],
        'text-halo-color': color['map-halo'],
        'text-halo-width': HALO,
        'text-opacity': d.opacity,
      },
    },
  }
}

function clusters(d: Drawing, slot: Slot, rule: Clustering): Drawn {
  return {
    slot,
    spec: {
      id: `${d.info.id}/cluster`, type: 'symbol', source: pointsOf(d.info.id),
      maxzoom: rule.below, ...(rule.dots ? { minzoom: rule.dots } : {}),
      filter: ['has', 'point_count'],
      layout: {
        visibility: visibility(d),
        'icon-image': ['concat', `cluster:${iconOf(d.info.kind) ?? 'camera'}:`, ['get', 'point_count'], `:${d.palette.theme}`],
        'icon-overlap': 'always',
        'symbol-sort-key': ['get', 'point_count'],
        'icon-size': byZoom([8, 0.92], [10, 1]),
      },
      paint: { 'icon-opacity': d.opacity },
    },
  }
}

function camera(d: Drawing): Drawn[] {
  const id = d.info.id
  const source = pointsOf(id)
  const slot = Slot.Cameras
  return [
    {
      slot,
      spec: {
        id: `${id}/wedge`, type: 'symbol', source, minzoom: 15, filter: ['all', SINGLE, ['has', 'bearing']],
        layout: {
          visibility: visibility(d),
          'icon-image': `wedge:${d.palette.theme}`,
          'icon-rotate': ['to-number', ['get', 'bearing'], 0],
          'icon-rotation-alignment': 'map',
          'icon-overlap': 'always',
          'icon-ignore-placement': true,
        },
        paint: { 'icon-opacity': d.opacity },
      },
    },
    clusters(d, slot, CLUSTERED.camera ?? { below: 12, radius: 48 }),
    {
      slot,
      spec: {
        id: `${id}/mark`, type: 'symbol', source, filter: unselected(d, SINGLE),
        layout: {
          visibility: visibility(d),
          'icon-image': mark(d),
          // Several cameras of one junction stand metres apart: one mark until they come apart on screen.
          'icon-overlap': ['step', ['zoom'], 'always', 12, 'never', 14, 'always'],
          'symbol-sort-key': ['get', 'tc_rank'],
        },
        paint: { 'icon-opacity': d.opacity },
      },
    },
    words(d, unselected(d, SINGLE), label(d), { font: REGULAR, size: byZoom([14, 11.5], [17, 13]), gap: FACILITY_GAP, minzoom: 14 }),
  ]
}

function facility(d: Drawing): Drawn[] {
  const id = d.info.id
  const source = pointsOf(id)
  const rule = CLUSTERED[d.info.kind] ?? { below: 13, radius: 48, dots: 11 }
  const { color } = d.palette
  const slot = Slot.Facilities
  return [
    {
      slot,
      spec: {
        id: `${id}/dot`, type: 'circle', source: dotsOf(id), maxzoom: rule.dots ?? 11,
        layout: { visibility: visibility(d) },
        paint: {
          'circle-radius': byZoom([7, 1.5], [11, 3]),
          'circle-color': color[d.info.kind === 'clinic' ? 'lu-dyt' : 'text-2'],
          'circle-stroke-color': color['map-halo'],
          'circle-stroke-width': 0.8,
          'circle-opacity': d.opacity,
          'circle-stroke-opacity': d.opacity,
        },
      },
    },
    clusters(d, slot, rule),
    {
      slot,
      spec: {
        id: `${id}/mark`, type: 'symbol', source, minzoom: rule.dots ?? 11, filter: unselected(d, SINGLE),
        layout: {
          visibility: visibility(d),
          'icon-image': mark(d),
          'icon-overlap': ['step', ['zoom'], 'never', 14, 'always'],
        },
        paint: { 'icon-opacity': d.opacity },
      },
    },
    words(d, unselected(d, SINGLE), label(d), { font: REGULAR, size: byZoom([14, 11.5], [17, 13]), gap: FACILITY_GAP, minzoom: 14 }),
  ]
}

function gate(d: Drawing): Drawn[] {
  const id = d.info.id
  const international: ExpressionSpecification = ['==', ['get', 'class'], 'international']
  return [
    {
      slot: Slot.Gates,
      spec: {
        id: `${id}/mark`, type: 'symbol', source: pointsOf(id), minzoom: 7.5, filter: unselected(d),
        layout: {
          visibility: visibility(d),
          'icon-image': mark(d),
          'icon-size': byZoom([8, 0.85], [11, 1]),
          'symbol-sort-key': ['case', international, 0, 1],
          'icon-overlap': ['step', ['zoom'], 'never', 10, 'always'],
        },
        paint: { 'icon-opacity': d.opacity },
      },
    },
    words(d, unselected(d), ['step', ['zoom'], ['case', international, label(d), ''], 11, label(d)], {
      font: MEDIUM, size: byZoom([10, 11], [14, 12.5]), gap: FACILITY_GAP, minzoom: 10,
    }),
  ]
}

function air(d: Drawing): Drawn[] {
  const id = d.info.id
  return [
    {
      slot: Slot.Stations,
      spec: {
        id: `${id}/mark`, type: 'symbol', source: pointsOf(id), filter: unselected(d),
        layout: {
          visibility: visibility(d),
          'icon-image': mark(d),
          'icon-overlap': 'always',
          'icon-padding': 0,
          // On collision the worst value lies on top.
          'symbol-sort-key': ['get', 'tc_rank'],
        },
        paint: { 'icon-opacity': d.opacity },
      },
    },
    words(d, unselected(d), label(d), {
      font: SEMIBOLD, size: byZoom([8, 12.5], [12, 14]), gap: AQI_GAP, strong: true, minzoom: 8,
    }),
  ]
}

/** Whole zooms at which a kind's marks, names and figures appear (text changes only there); above a threshold the mark is there at every zoom. */
interface Steps {
  mark: number
  name: number
  figure: number
}

function station(steps: Steps) {
  return (d: Drawing): Drawn[] => {
    const id = d.info.id
    const source = pointsOf(id)
    const quiet: ExpressionSpecification = ['==', ['to-number', ['get', 'tc_level'], 0], 0]
    const both: ExpressionSpecification = [
      'case', ['==', figure(d), ''], label(d),
      ['format', label(d), {}, '\n', {}, figure(d), { 'text-font': ['literal', SEMIBOLD] }],
    ]
    const text: ExpressionSpecification =
      steps.figure > steps.name ? ['step', ['zoom'], label(d), steps.figure, both] : both
    const look = { font: MEDIUM, size: byZoom([10, 11.5], [14, 13]), gap: STATION_GAP, minzoom: steps.name }
    const icon = { 'icon-opacity': d.opacity }
    const { color } = d.palette
    const layout = { visibility: visibility(d) }
    const drawn: Drawn[] = []
    if (steps.mark > 8) {
      drawn.push({
        slot: Slot.QuietStations,
        spec: {
          id: `${id}/dot`, type: 'circle', source, maxzoom: steps.mark, layout, filter: unselected(d, quiet),
          paint: {
            'circle-radius': byZoom([7, 2], [steps.mark, 3.4]),
            'circle-color': color['surface-2'],
            'circle-stroke-color': color['text-2'],
            'circle-stroke-width': 1.2,
            'circle-opacity': d.opacity,
            'circle-stroke-opacity': d.opacity,
          },
        },
      })
    }
    drawn.push(
      {
        slot: Slot.QuietStations,
        spec: {
          id: `${id}/mark`, type: 'symbol', source, filter: unselected(d, quiet),
          ...(steps.mark > 8 ? { minzoom: steps.mark } : {}),
          layout: { ...layout, 'icon-image': mark(d), 'icon-overlap': steps.mark > 8 ? ['step', ['zoom'], 'never', 12, 'always'] : 'always' },
          paint: icon,
        },
      },
      {
        slot: Slot.Stations,
        spec: {
          id: `${id}/alarm`, type: 'symbol', source, filter: unselected(d, ['!', quiet]),
          layout: { ...layout, 'icon-image': mark(d), 'icon-overlap': 'always', 'symbol-sort-key': ['get', 'tc_rank'] },
          paint: icon,
        },
      },
      words(d, unselected(d), text, look),
    )
    return drawn
  }
}

const LOOKS: Partial<Record<LayerKind, (d: Drawing) => Drawn[]>> = {
  air_station: air,
  water_station: station({ mark: 0, name: 10, figure: 12 }),
  water_level_station: station({ mark: 0, name: 10, figure: 10 }),
  wastewater_station: station({ mark: 11, name: 13, figure: 14 }),
  stack_station: station({ mark: 11, name: 13, figure: 14 }),
  camera,
  school: facility,
  clinic: facility,
  border_gate: gate,
}

export const pointLooks = (kind: LayerKind): ((d: Drawing) => Drawn[]) | undefined => LOOKS[kind]
