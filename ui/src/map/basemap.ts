/** Looks of the base map: land, water, borders and roads. */
import type { ExpressionSpecification } from 'maplibre-gl'
import {
  byZoom, type Drawing, type Drawn, growing, HALO, image, labels, nameOf, Slot, tiles, visibility,
} from './drawing'
import { MEDIUM, REGULAR, SEMIBOLD } from './fonts'
import { mix } from './tokens'

/**
 * Widths of the province's soft edge, and how much of the glow's colour each has. Half the widest must not exceed the
 * margin that tiles carry beyond their edge (8 px), or the glow ends at tile borders.
 */
const GLOW = [[16, 0.15], [13, 0.28], [10, 0.42], [7, 0.56], [4, 0.7]] as const

export function outline(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  const layout = { visibility: visibility(d), 'line-join': 'round' as const }
  // Opaque strokes one inside the other: a blurred line frays where the outline turns sharply.
  const glow = GLOW.map(
    ([width, strength], at): Drawn => ({
      slot: Slot.Land,
      spec: {
        id: `${id}/glow-${at}`, type: 'line', ...tiles(d), layout,
        paint: {
          'line-color': mix(color['map-out'], color['map-glow'], strength),
          'line-width': byZoom([7, width * 0.7], [9, width]),
          'line-opacity': d.opacity,
        },
      },
    }),
  )
  return [
    ...glow,
    {
      slot: Slot.Land,
      spec: {
        id: `${id}/land`, type: 'fill', ...tiles(d), layout: { visibility: visibility(d) },
        paint: { 'fill-color': color['map-land'], 'fill-opacity': d.opacity },
      },
    },
    {
      slot: Slot.Outline,
      spec: {
        id: `${id}/edge`, type: 'line', ...tiles(d), layout,
        paint: {
          'line-color': color['map-border'],
          'line-width': byZoom([7, 1.1], [9, 1.6], [14, 2.4]),
          'line-opacity': d.opacity,
        },
      },
    },
  ]
}

export function communes(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  return [
    {
      // Nothing to see; there so that a click on land finds its commune.
      slot: Slot.Land,
      spec: {
        id: `${id}/area`, type: 'fill', ...tiles(d), layout: { visibility: visibility(d) },
        paint: { 'fill-color': color['map-land'], 'fill-opacity': 0 },
      },
    },
    {
      slot: Slot.Borders,
      spec: {
        id: `${id}/edge`, type: 'line', ...tiles(d),
        layout: { visibility: visibility(d), 'line-join': 'round' },
        paint: {
          'line-color': color['map-ward'],
          'line-width': byZoom([7, 0.5], [9, 0.9], [12, 1.4], [16, 2]),
          'line-opacity': d.opacity,
        },
      },
    },
    {
      slot: Slot.AreaLabels,
      spec: {
        id: `${id}/name`, type: 'symbol', ...labels(d), minzoom: 10,
        layout: {
          visibility: visibility(d),
          'text-field': nameOf(d),
          'text-font': REGULAR,
          'text-size': byZoom([10, 11], [14, 13]),
          'text-max-width': 8,
          'text-line-height': 1.35,
          'text-padding': 6,
        },
        paint: {
          'text-color': color['map-label-2'],
          'text-halo-color': color['map-halo'],
          'text-halo-width': HALO,
          'text-opacity': 0.9 * d.opacity,
        },
      },
    },
  ]
}

export function water(d: Drawing): Drawn[] {
  const { color } = d.palette
  return [
    {
      slot: Slot.Water,
      spec: {
        id: `${d.info.id}/area`, type: 'fill', ...tiles(d), layout: { visibility: visibility(d) },
        paint: { 'fill-color': color['map-water'], 'fill-opacity': d.opacity },
      },
    },
    {
      slot: Slot.Water,
      spec: {
        id: `${d.info.id}/shore`, type: 'line', ...tiles(d),
        layout: { visibility: visibility(d), 'line-join': 'round' },
        paint: { 'line-color': color['map-shore'], 'line-width': byZoom([7, 0.7], [12, 1.3]), 'line-opacity': d.opacity },
      },
    },
  ]
}

export function river(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  const named = (large: number, small: number): ExpressionSpecification => ['case', ['has', 'name'], large, small]
  const paint = {
    'text-color': color['map-label-water'],
    'text-halo-color': color['map-halo'],
    'text-halo-width': 1.3,
    'text-opacity': d.opacity,
  }
  return [
    {
      slot: Slot.Water,
      spec: {
        id: `${id}/line`, type: 'line', ...tiles(d),
        layout: { visibility: visibility(d), 'line-cap': 'round', 'line-join': 'round' },
        paint: {
          'line-color': color['map-river'],
          'line-width': growing([6, named(0.9, 0.5)], [9, named(3, 1.2)], [12, named(6, 2.4)], [16, named(26, 9)]),
          'line-opacity': d.opacity,
        },
      },
    },
    {
      // Seen from far, rivers wind too much for letters to follow: the name lies level across the stream.
      slot: Slot.RiverLabels,
      spec: {
        id: `${id}/far-name`, type: 'symbol', ...tiles(d), minzoom: 8, maxzoom: 10, filter: ['has', 'name'],
        layout: {
          visibility: visibility(d),
          'symbol-placement': 'line',
          'symbol-spacing': 130,
          'text-field': nameOf(d),
          'text-font': REGULAR,
          'text-size': 11,
          'text-rotation-alignment': 'viewport',
          'text-max-angle': 180,
          'text-max-width': 6,
          'text-line-height': 1.3,
          'text-padding': 6,
        },
        paint,
      },
    },
    {
      slot: Slot.RiverLabels,
      spec: {
        id: `${id}/name`, type: 'symbol', ...tiles(d), minzoom: 10, filter: ['has', 'name'],
        layout: {
          visibility: visibility(d),
          'symbol-placement': 'line',
          'symbol-spacing': 260,
          'text-field': nameOf(d),
          'text-font': REGULAR,
          'text-size': byZoom([9, 11], [14, 14]),
          'text-max-angle': 50,
          'text-letter-spacing': 0.02,
          'text-padding': 4,
        },
        paint,
      },
    },
  ]
}

export function border(d: Drawing): Drawn[] {
  const { color } = d.palette
  const layout = { visibility: visibility(d), 'line-join': 'round' as const }
  const national: ExpressionSpecification = ['==', ['get', 'class'], 'national']
  return [
    {
      slot: Slot.Borders,
      spec: {
        id: `${d.info.id}/province`, type: 'line', ...tiles(d), filter: ['!', national], layout,
        paint: {
          'line-color': color['map-ward'],
          'line-width': byZoom([7, 0.9], [12, 1.4]),
          'line-dasharray': [5, 4],
          'line-opacity': 0.9 * d.opacity,
        },
      },
    },
    {
      slot: Slot.Borders,
      spec: {
        id: `${d.info.id}/national`, type: 'line', ...tiles(d), filter: national, layout,
        paint: {
          'line-color': color['map-border'],
          'line-width': byZoom([7, 1.2], [10, 1.6], [14, 2.4]),
          'line-opacity': 0.65 * d.opacity,
        },
      },
    },
  ]
}

const ROAD_RANK: ExpressionSpecification = ['match', ['get', 'class'], 'motorway', 3, 'trunk', 2, 1]

export function road(d: Drawing): Drawn[] {
  const { color } = d.palette
  const id = d.info.id
  const layout = {
    visibility: visibility(d),
    'line-cap': 'round' as const,
    'line-join': 'round' as const,
    'line-sort-key': ROAD_RANK,
  }
  const byClass = (motorway: number, trunk: number, primary: number): ExpressionSpecification => [
    'match', ['get', 'class'], 'motorway', motorway, 'trunk', trunk, primary,
  ]
  const tone: ExpressionSpecification = [
    'match', ['get', 'class'], 'motorway', color['map-road-mw'], 'trunk', color['map-road-tr'], color['map-road-pr'],
  ]
  const planned: ExpressionSpecification = ['==', ['get', 'status'], 'planned']
  return [
    {
      slot: Slot.Roads,
      spec: {
        id: `${id}/casing`, type: 'line', ...tiles(d), layout,
        filter: ['all', ['!', planned], ['any', ['>', ROAD_RANK, 1], ['>=', ['zoom'], 11]]],
        paint: {
          'line-color': color['map-road-case'],
          'line-width': growing([7, byClass(3, 2.4, 0)], [9, byClass(5.4, 4.4, 2.6)], [12, byClass(8, 6.6, 5)], [16, byClass(25, 20, 15)]),
          'line-opacity': d.opacity,
        },
      },
    },
    {
      slot: Slot.Roads,
      spec: {
        id: `${id}/line`, type: 'line', ...tiles(d), layout, filter: ['!', planned],
        paint: {
          'line-color': tone,
          'line-width': growing([7, byClass(1.8, 1.2, 0.7)], [9, byClass(3.6, 2.7, 1.4)], [12, byClass(6, 4.8, 3.4)], [16, byClass(22, 17, 12.5)]),
          'line-opacity': d.opacity,
        },
      },
    },
    {
      slot: Slot.Roads,
      spec: {
        id: `${id}/planned`, type: 'line', ...tiles(d), layout: { ...layout, 'line-cap': 'butt' }, filter: planned,
        paint: {
          'line-color': tone,
          'line-width': growing([7, 1.2], [9, 1.8], [12, 3], [16, 8]),
          'line-dasharray': [3, 2],
          'line-opacity': 0.8 * d.opacity,
        },
      },
    },
    {
      slot: Slot.RoadLabels,
      spec: {
        id: `${id}/ref`, type: 'symbol', ...tiles(d), minzoom: 8,
        filter: ['all', ['has', 'ref'], ['any', ['>', ROAD_RANK, 1], ['>=', ['zoom'], 10]]],
        layout: {
          visibility: visibility(d),
          'symbol-placement': 'line',
          'symbol-spacing': ['step', ['zoom'], 110, 10, 300],
          'symbol-sort-key': ['-', 0, ROAD_RANK],
          'icon-image': image({ kind: 'shield' }, d),
          'icon-text-fit': 'both',
          'icon-text-fit-padding': [0, 3.5, 0, 3.5],
          'icon-rotation-alignment': 'viewport',
          'text-field': ['get', 'ref'],
          'text-font': SEMIBOLD,
          'text-size': 10.5,
          'text-rotation-alignment': 'viewport',
          'text-max-angle': 180,
          'text-padding': 3,
        },
        paint: { 'text-color': color['map-label-2'], 'text-opacity': d.opacity, 'icon-opacity': d.opacity },
      },
    },
    {
      slot: Slot.RoadLabels,
      spec: {
        id: `${id}/name`, type: 'symbol', ...tiles(d), minzoom: 12.5, filter: ['has', 'name'],
        layout: {
          visibility: visibility(d),
          'symbol-placement': 'line',
          'symbol-spacing': 460,
          'text-field': nameOf(d),
          'text-font': MEDIUM,
          'text-size': byZoom([12, 11], [16, 13]),
          'text-max-angle': 30,
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
