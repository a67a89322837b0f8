/** The picture of a trial: the province's ground and what would come onto it, in pixels. */
import type { Geometry, Position } from 'geojson'
import type { BBox, TrialFeature } from '../../../bridge'
import { SEVERITY_SHAPES } from '../../../shared/shapes'
import type { Desk } from '../../../state/desk.svelte'

type Line = Position[]

export interface Ground {
  outline: Line[]
  communes: Line[]
}

/** Longitude and latitude to pixels: the box in the middle of the picture, equally scaled in both directions there. */
export interface Frame {
  width: number
  height: number
  at: (point: Position) => [number, number]
}

const MARGIN = 12

export function frameOf([w, s, e, n]: BBox, width: number, height: number): Frame {
  const narrow = Math.cos((((s + n) / 2) * Math.PI) / 180)
  const scale = Math.min((width - 2 * MARGIN) / ((e - w) * narrow), (height - 2 * MARGIN) / (n - s))
  const left = (width - (e - w) * narrow * scale) / 2
  const top = (height - (n - s) * scale) / 2
  return {
    width,
    height,
    at: ([lon = 0, lat = 0]) => [left + (lon - w) * narrow * scale, top + (n - lat) * scale],
  }
}

const round = (value: number): string => value.toFixed(1)

export function pathOf(lines: readonly Line[], frame: Frame): string {
  return lines
    .filter((line) => line.length > 1)
    .map((line) => 'M' + line.map((point) => frame.at(point).map(round).join(' ')).join('L'))
    .join('')
}

/** Points as strokes without length: round ends make dots of them. */
export const dotsOf = (points: readonly Position[], frame: Frame): string =>
  points.map((point) => `M${frame.at(point).map(round).join(' ')}h0`).join('')

const EDGE = 9

/** Triangles where features lie outside the province; those outside the picture stand at its edge. */
export function outsideOf(features: readonly TrialFeature[], frame: Frame): { x: number; y: number; feature: TrialFeature }[] {
  const within = (value: number, end: number) => Math.min(Math.max(value, EDGE), end - EDGE)
  return features
    .filter(({ outside }) => outside)
    .map((feature) => {
      const [x, y] = frame.at(feature.point)
      return { x: within(x, frame.width), y: within(y, frame.height), feature }
    })
}

export const TRIANGLE = SEVERITY_SHAPES[1] ?? ''

/** Shapes smaller than this are drawn as dots too, or nobody would see them. */
const SMALL = 6

/** The places of the features inside the province that need a dot. */
export function dotted(features: readonly TrialFeature[], frame: Frame): Position[] {
  return features
    .filter(({ outside, lines }) => {
      if (outside) return false
      if (lines.length === 0) return true
      const points = lines.flat().map(frame.at)
      const spread = (axis: 0 | 1) => Math.max(...points.map((p) => p[axis])) - Math.min(...points.map((p) => p[axis]))
      return spread(0) < SMALL && spread(1) < SMALL
    })
    .map(({ point }) => point)
}

function linesOf(geometry: Geometry): Line[] {
  switch (geometry.type) {
    case 'LineString':
      return [geometry.coordinates]
    case 'MultiLineString':
    case 'Polygon':
      return geometry.coordinates
    case 'MultiPolygon':
      return geometry.coordinates.flat()
    case 'GeometryCollection':
      return geometry.geometries.flatMap(linesOf)
    default:
      return []
  }
}

const grounds = new WeakMap<Desk, { key: string; ground: Promise<Ground> }>()

/** The province's outline and communes, asked once while their layers stay the same. A layer that may not be seen is left out. */
export function groundOf(desk: Desk): Promise<Ground> {
  const of = (kind: 'outline' | 'communes') => desk.model.layers.find((layer) => layer.kind === kind && layer.allowed)
  const [outline, communes] = [of('outline'), of('communes')]
  const key = [outline, communes].map((layer) => (layer ? `${layer.id}/${layer.version}` : '')).join(' ')
  const known = grounds.get(desk)
  if (known?.key === key) return known.ground
  const lines = async (layer: typeof outline): Promise<Line[]> => {
    if (!layer) return []
    const { features } = await desk.core.ask('query', { layer: layer.id, limit: 1_000 })
    return features.flatMap(({ geometry }) => (geometry ? linesOf(geometry) : []))
  }
  const ground = Promise.all([lines(outline), lines(communes)]).then(([outline, communes]) => ({ outline, communes }))
  // The next who asks tries again.
  ground.catch(() => grounds.delete(desk))
  grounds.set(desk, { key, ground })
  return ground
}
