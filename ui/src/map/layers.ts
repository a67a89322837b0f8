/** Looks by kind of layer: what each draws, from which source, at which zooms. Points stand in `points.ts`. */
import type { ExpressionSpecification } from 'maplibre-gl'
import { border, communes, outline, river, road, water } from './basemap'
import {
  byZoom, type Drawing, type Drawn, fits, HALO, image, labels, nameOf, points, pointsOf, Slot, tiles, unselected, visibility,
} from './drawing'
import { MEDIUM, REGULAR, SEMIBOLD } from './fonts'
import { pointLooks } from './points'
import { fade, type Palette, type Token } from './tokens'
import type { LayerKind } from './types'

/** Land-use codes that share another code's colour on screen. */
const LAND_USE: Record<string, readonly string[]> = {
  'lu-odt': ['ODT'],
  'lu-ont': ['ONT', 'TIN', 'TON'],
  'lu-skk': ['SKK', 'SKN', 'SKC', 'SKS', 'SKX', 'SKT'],
  'lu-tmd': ['TMD', 'DCH'],
  'lu-luc': ['LUC', 'LUK', 'LUA'],
  'lu-cln': ['CLN', 'LNK'],
  'lu-hnk': ['HNK', 'BHK', 'NHK', 'NKH'],
  'lu-dgd': ['DGD', 'DVH', 'DTT', 'DXH', 'DSH', 'DKH'],
  'lu-dyt': ['DYT'],
  'lu-dkv': ['DKV', 'RSX', 'RPH', 'RDD', 'NTD'],
  'lu-dgt': ['DGT', 'DBV', 'DNL', 'DRA'],
  'lu-mnc': ['MNC', 'NTS', 'SON', 'DTL'],
  'lu-tsc': ['TSC', 'DTS', 'CAN', 'CQP'],
}

/** Colour by the land-use code, which may carry a number behind it (`ODT-12`). */
export function landUseColor(palette: Palette): ExpressionSpecification {
  const cases = Object.entries(LAND_USE).flatMap(([token, codes]) => [codes, palette.color[token as Token]])
  const code: ExpressionSpecification = ['upcase', ['slice', ['to-string', ['get', 'code']], 0, 3]]
  return ['match', code, ...cases, palette.color['line-3']] as unknown as ExpressionSpecification
}

/** Figures as Vietnamese papers write them, with a comma. */
function decimal(field: string, d: Drawing): ExpressionSpecification {
  return [
    'number-format', ['get', field],
    { locale: d.language === 'vi' ? 'vi-VN' : 'en-GB', 'min-fraction-digits': 1, 'max-fraction-digits': 2 },
  ]
}

/** Smoothed edges are a second drawing of every edge: of thousands of lots a screen, most of the work of a frame. */
const plain = (d: Drawing) => (d.info.tiled ? { 'fill-antialias': false } : {})

function planningZone(d: Drawing): Drawn[] {
  const { color, theme } = d.palette
  const id = d.info.id
  const draft: ExpressionSpecification = ['==', ['get', 'status'], 'draft']
  const edge = theme === 'dark' ? 'rgba(255,255,255,0.62)' : '#FFFFFF'
  const layout = { visibility: visibility(d), 'line-join': 'round' as const }
  const limits: ExpressionSpecification = [
    'concat', '\n', ['get', 'density_pct'], ' % · ', ['get', 'storeys'], d.language === 'vi' ? ' tầng · ' : ' st. · ', decimal('far', d),
  ]
  const limited: ExpressionSpecification = [
    'all', ['>=', ['zoom'], 16], ['has', 'density_pct'], ['has', 'storeys'], ['has', 'far'], fits(92),
  ]
  const label = (part: string, text: ExpressionSpecification, filter: ExpressionSpecification): Drawn => ({
    slot: Slot.AreaLabels,
    spec: {
      id: `${id}/${part}`, type: 'symbol', ...labels(d), minzoom: 13, filter,
      layout: {
        visibility: visibility(d),
        'text-field': text,
        'text-font': MEDIUM,
        'text-size': byZoom([13, 11], [17, 13]),
        'text-line-height': 1.4,
        'text-max-width': 30,
        'text-padding': 1,
      },
      paint: {
        'text-color': theme === 'dark' ? '#FFFFFF' : color['map-label'],
        'text-halo-color': theme === 'dark' ? 'rgba(12,17,20,0.82)' : 'rgba(255,255,255,0.85)',
        'text-halo-width': 1.3,
        'text-opacity': d.opacity,
      },
    },
  })
  const code: ExpressionSpecification = ['to-string', ['get', 'code']]
  return [
    {
      slot: Slot.Lots,
      spec: {
        id: `${id}/area`, type: 'fill', ...tiles(d), layout: { visibility: visibility(d) },
        paint: { ...plain(d), 'fill-color': landUseColor(d.palette), 'fill-opacity': (theme === 'dark' ? 0.7 : 1) * d.opacity },
      },
    },
    {
      slot: Slot.Lots,
      spec: {
        id: `${id}/draft`, type: 'fill', ...tiles(d), minzoom: 12, filter: draft, layout: { visibility: visibility(d) },
        paint: { 'fill-pattern': image({ kind: 'hatch', of: 'draft' }, d), 'fill-opacity': d.opacity },
      },
    },
    {
      slot: Slot.Lots,
      spec: {
        id: `${id}/edge`, type: 'line', ...tiles(d), minzoom: 12, layout,
        paint: {
          'line-color': edge,
          'line-width': byZoom([12, 0.5], [14, 1.2], [17, 2.4]),
          'line-opacity': d.opacity,
        },
      },
    },
    label('code', code, ['all', fits(34), ['!', limited]]),
    label('limits', ['format', ['case', draft, ['concat', code, d.language === 'vi' ? ' · dự thảo' : ' · draft'], code], {}, limits, { 'font-scale': 0.88 }], limited),
  ]
}

function industrialPark(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  const planned: ExpressionSpecification = ['==', ['get', 'status'], 'planned']
  return [
    {
      slot: Slot.Parks,
      spec: {
        id: `${id}/area`, type: 'fill', ...tiles(d), layout: { visibility: visibility(d) },
        paint: { 'fill-color': fade(color['lu-skk'], 0.22), 'fill-opacity': d.opacity },
      },
    },
    {
      slot: Slot.Parks,
      spec: {
        id: `${id}/hatch`, type: 'fill', ...tiles(d), layout: { visibility: visibility(d) },
        paint: {
          'fill-pattern': ['case', planned, image({ kind: 'hatch', of: 'planned' }, d), image({ kind: 'hatch', of: 'park' }, d)],
          'fill-opacity': d.opacity,
        },
      },
    },
    {
      slot: Slot.Parks,
      spec: {
        id: `${id}/edge`, type: 'line', ...tiles(d), layout: { visibility: visibility(d), 'line-join': 'round' },
        paint: {
          'line-color': color['lu-skk'],
          'line-width': byZoom([8, 0.8], [12, 1.4], [16, 2]),
          'line-dasharray': ['case', planned, ['literal', [3, 2]], ['literal', [1]]],
          'line-opacity': 0.85 * d.opacity,
        },
      },
    },
    {
      slot: Slot.AreaLabels,
      spec: {
        id: `${id}/name`, type: 'symbol', ...labels(d), minzoom: 10.5,
        layout: {
          visibility: visibility(d),
          'text-field': nameOf(d),
          'text-font': MEDIUM,
          'text-size': byZoom([10, 10.5], [14, 13]),
          'text-max-width': 8,
          'text-line-height': 1.35,
          'symbol-sort-key': ['-', 0, ['to-number', ['get', 'area_m2'], 0]],
        },
        paint: {
          'text-color': color['map-label-2'],
          'text-halo-color': color['map-halo'],
          'text-halo-width': HALO,
          'text-opacity': d.opacity,
        },
      },
    },
  ]
}

function place(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  const source = pointsOf(id)
  const halo = { 'text-halo-color': color['map-halo'], 'text-halo-width': HALO, 'text-opacity': d.opacity }
  const is = (...classes: string[]): ExpressionSpecification => ['in', ['get', 'class'], ['literal', classes]]
  const rank: ExpressionSpecification = ['to-number', ['get', 'rank'], 4]
  const ranked = (first: number, second: number, rest: number): ExpressionSpecification => ['match', rank, 1, first, 2, second, rest]
  return [
    {
      slot: Slot.PlaceLabels,
      spec: {
        id: `${id}/area`, type: 'symbol', source, maxzoom: 12, filter: is('province', 'country'),
        layout: {
          visibility: visibility(d),
          'text-field': ['upcase', nameOf(d)],
          'text-font': MEDIUM,
          'text-size': byZoom([7, 11], [10, 13]),
          'text-letter-spacing': 0.14,
          'text-max-width': 20,
        },
        paint: { 'text-color': color['map-label-2'], 'text-opacity': 0.75 * d.opacity },
      },
    },
    {
      slot: Slot.PlaceLabels,
      spec: {
        id: `${id}/water`, type: 'symbol', source, minzoom: 8, filter: is('water'),
        layout: {
          visibility: visibility(d),
          'text-field': nameOf(d),
          'text-font': REGULAR,
          'text-size': byZoom([8, 11], [13, 15]),
          'text-max-width': 7,
          'text-line-height': 1.35,
        },
        paint: { ...halo, 'text-color': color['map-label-water'], 'text-halo-width': 1.3 },
      },
    },
    {
      slot: Slot.PlaceLabels,
      spec: {
        id: `${id}/town`, type: 'symbol', source,
        filter: [
          'all', ['!', is('province', 'country', 'water', 'mountain')],
          ['step', ['zoom'], ['<=', rank, 2], 8, ['<=', rank, 3], 10, true],
        ],
        layout: {
          visibility: visibility(d),
          'symbol-sort-key': rank,
          'icon-image': image({ kind: 'town' }, d),
          // Where a mark stands on the town, its name stays.
          'icon-optional': true,
          'text-field': nameOf(d),
          'text-font': ['match', rank, 1, ['literal', SEMIBOLD], 2, ['literal', MEDIUM], ['literal', REGULAR]],
          'text-size': byZoom([8, ranked(14.5, 12, 11)], [10, ranked(16, 13.5, 12)], [14, ranked(20, 17, 15)]),
          // Beside its dot; a little further off where a mark stands in the town.
          'text-variable-anchor-offset': [
            'left', [0.6, 0], 'right', [-0.6, 0],
            'top-left', [0.9, 0.5], 'bottom-left', [0.9, -0.5], 'top-right', [-0.9, 0.5], 'bottom-right', [-0.9, -0.5],
            'bottom', [0, -1.3], 'top', [0, 1.3],
          ],
          'text-justify': 'auto',
          'text-line-height': 1.35,
          'text-padding': 3,
        },
        paint: { ...halo, 'text-color': ['match', rank, [1, 2], color['map-label'], color['map-label-2']] },
      },
    },
    {
      slot: Slot.PlaceLabels,
      spec: {
        id: `${id}/peak`, type: 'symbol', source, minzoom: 8, filter: is('mountain'),
        layout: {
          visibility: visibility(d),
          'icon-image': image({ kind: 'peak' }, d),
          'text-field': [
            'step', ['zoom'], nameOf(d), 11,
            ['case', ['has', 'ele'], ['concat', nameOf(d), '\n', ['get', 'ele'], ' m'], nameOf(d)],
          ],
          'text-font': REGULAR,
          'text-size': byZoom([8, 11], [13, 14]),
          'text-anchor': 'top',
          'text-offset': [0, 0.7],
          'text-line-height': 1.35,
          'text-max-width': 12,
        },
        paint: { ...halo, 'text-color': color['map-label-2'] },
      },
    },
  ]
}

/** A layer nobody designed: calm, but there. */
function other(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  const layout = { visibility: visibility(d) }
  const slot = Slot.OtherAreas
  const geometry = (kind: string): ExpressionSpecification => ['==', ['geometry-type'], kind]
  const line: Drawn = {
    slot,
    spec: {
      id: `${id}/line`, type: 'line', ...tiles(d), layout: { ...layout, 'line-join': 'round' },
      // Outlines of thousands of lots a screen are a grey veil, and most of the work of a frame.
      ...(d.info.tiled && d.info.geometry !== 'line' ? { minzoom: 12 } : {}),
      paint: { 'line-color': color['text-2'], 'line-width': byZoom([8, 1], [14, 2]), 'line-opacity': d.opacity },
    },
  }
  const label = {
    'text-field': nameOf(d),
    'text-font': REGULAR,
    'text-size': 12,
    'text-max-width': 9,
    'text-line-height': 1.35,
  }
  const ink = {
    'text-color': color['map-label'],
    'text-halo-color': color['map-halo'],
    'text-halo-width': HALO,
    'text-opacity': d.opacity,
  }
  if (d.info.geometry === 'line') return [line]
  if (d.info.geometry === 'point') {
    return [
      {
        slot: Slot.Facilities,
        spec: {
          id: `${id}/mark`, type: 'circle', ...points(d), layout, filter: unselected(d),
          paint: {
            // A crowd shows where it is dense; its points come apart as one draws nearer.
            'circle-radius': d.info.tiled ? byZoom([8, 0.8], [11, 1.4], [14, 4], [17, 6]) : byZoom([8, 3], [14, 6]),
            'circle-color': color['text-2'],
            'circle-stroke-color': color['map-halo'],
            'circle-stroke-width': d.info.tiled ? byZoom([12, 0], [14, 1.5]) : 1.5,
            'circle-opacity': d.opacity,
            'circle-stroke-opacity': d.opacity,
          },
        },
      },
      {
        slot: Slot.DataLabels,
        spec: {
          id: `${id}/name`, type: 'symbol', ...points(d), minzoom: 13, filter: unselected(d),
          layout: { ...layout, ...label, 'text-anchor': 'left', 'text-offset': [0.8, 0] },
          paint: ink,
        },
      },
    ]
  }
  return [
    {
      slot,
      spec: {
        id: `${id}/area`, type: 'fill', ...tiles(d), layout, filter: geometry('Polygon'),
        paint: { ...plain(d), 'fill-color': fade(color['text-2'], 0.2), 'fill-opacity': d.opacity },
      },
    },
    line,
    {
      slot,
      spec: {
        id: `${id}/point`, type: 'circle', ...tiles(d), layout, filter: geometry('Point'),
        paint: { 'circle-radius': 4, 'circle-color': color['text-2'], 'circle-opacity': d.opacity },
      },
    },
    {
      slot: Slot.AreaLabels,
      spec: {
        id: `${id}/name`, type: 'symbol', ...labels(d), minzoom: 10, filter: fits(60),
        layout: { ...layout, ...label },
        paint: ink,
      },
    },
  ]
}

const LOOKS: Partial<Record<LayerKind, (d: Drawing) => Drawn[]>> = {
  outline, communes, water, river, border, road, place,
  planning_zone: planningZone,
  industrial_park: industrialPark,
}

/** The style layers of one layer. */
export function looks(d: Drawing): Drawn[] {
  // The looks of kinds cluster their points, which tiles cannot.
  if (d.info.tiled && d.info.geometry === 'point') return other(d)
  return (LOOKS[d.info.kind] ?? pointLooks(d.info.kind) ?? other)(d)
}

/** Whether a polygon layer's names stand at label points of their own. */
export function hasLabelPoints(d: Pick<Drawing, 'info'>): boolean {
  const { kind, geometry } = d.info
  return geometry !== 'point' && geometry !== 'line' && ['communes', 'planning_zone', 'industrial_park', 'other'].includes(kind)
}
