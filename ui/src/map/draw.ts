/** Draws marks on a canvas, in CSS pixels around the origin. Shapes and measures are DESIGN.md's "Map symbology". */
import { ICONS, type IconName } from './icons'
import type { MapSymbol } from './symbols'
import { fade, type Palette, type Token } from './tokens'
import type { Freshness } from './types'

export interface Picture {
  image: ImageData
  /** Set for marks that grow with the text they carry. */
  stretch?: {
    stretchX: [number, number][]
    stretchY: [number, number][]
    content: [number, number, number, number]
  }
}

type Pen = CanvasRenderingContext2D
type Corner = readonly [number, number]

/** Outline of the legal colours: the same in both themes, as the colours are. */
const INK = '#0B1114'
const TEXT = "'Be Vietnam Pro', system-ui, sans-serif"
const FIGURES = `'TC Tabular', ${TEXT}`
/** Radius of the circle that all AQI marks are sized after. */
const AQI_R = 14
const SEVERITY_R = 9.5

/** Half the edge of the canvas a mark needs. */
function reach(symbol: MapSymbol): number {
  switch (symbol.kind) {
    case 'aqi':
      return symbol.freshness === 'fresh' ? (symbol.level >= 4 ? 20 : symbol.level === 3 ? 19 : 15) : 20.5
    case 'severity':
      return symbol.freshness === 'fresh' ? 13 : 17
    case 'facility':
      return symbol.freshness === 'fresh' || symbol.freshness === 'never' ? 11 : 16
    case 'cluster':
      return 18
    case 'wedge':
      return 34
    case 'ring':
      return symbol.radius + 6
    case 'peak':
      return 8
    case 'town':
      return 4
    case 'shield':
      return 9
    case 'hatch':
      return 4
  }
}

function canvas(half: number, ratio: number): Pen | null {
  const edge = Math.ceil(half * 2 * ratio)
  const element = document.createElement('canvas')
  element.width = edge
  element.height = edge
  const pen = element.getContext('2d', { willReadFrequently: true })
  pen?.scale(ratio, ratio)
  pen?.translate(half, half)
  return pen
}

/** The mark's picture at `ratio` device pixels to a CSS pixel; null where no canvas can be had. */
export function draw(symbol: MapSymbol, palette: Palette, ratio: number): Picture | null {
  const half = reach(symbol)
  const pen = canvas(half, ratio)
  if (!pen) return null
  pen.lineJoin = 'round'
  paint(pen, symbol, palette)
  const image = pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height)
  if (symbol.kind !== 'shield') return { image }
  const edge = half * 2 * ratio
  // The corners keep their shape; the text may reach almost to the edge.
  const [from, to, inset] = [5 * ratio, edge - 5 * ratio, 2 * ratio]
  return { image, stretch: { stretchX: [[from, to]], stretchY: [[from, to]], content: [inset, inset, edge - inset, edge - inset] } }
}

function paint(pen: Pen, symbol: MapSymbol, palette: Palette): void {
  const { color } = palette
  switch (symbol.kind) {
    case 'aqi':
      return aqi(pen, symbol.level, symbol.figure, symbol.freshness, palette)
    case 'severity':
      severity(pen, symbol.level, palette)
      return badge(pen, symbol.freshness, 10.5, palette)
    case 'facility':
      facility(pen, symbol.icon, symbol.freshness, palette)
      // Its edge is dashed already.
      return symbol.freshness === 'never' ? undefined : badge(pen, symbol.freshness, 9.5, palette)
    case 'cluster':
      return cluster(pen, symbol.icon, symbol.count, palette)
    case 'wedge':
      return wedge(pen, palette)
    case 'ring':
      circle(pen, symbol.radius)
      stroke(pen, fade(INK, 0.55), 6)
      stroke(pen, '#fff', 3.2)
      circle(pen, symbol.radius + 3.2)
      return stroke(pen, color.accent, 2.4)
    case 'town':
      circle(pen, 2.4)
      stroke(pen, color['map-halo'], 2)
      return fill(pen, color['map-label'])
    case 'peak':
      polygon(pen, [[0, -5.5], [6, 4.5], [-6, 4.5]])
      stroke(pen, color['map-halo'], 2.5)
      return fill(pen, color['map-label-2'])
    case 'shield':
      pen.beginPath()
      pen.roundRect(-8, -8, 16, 16, 3)
      fill(pen, color['map-halo'])
      return stroke(pen, color['map-road-tr'], 1)
    case 'hatch':
      return hatch(pen, symbol.of, palette)
  }
}

function fill(pen: Pen, style: string | CanvasGradient): void {
  pen.fillStyle = style
  pen.fill()
}

function stroke(pen: Pen, style: string, width: number, dash: number[] = []): void {
  pen.strokeStyle = style
  pen.lineWidth = width
  pen.setLineDash(dash)
  pen.stroke()
  pen.setLineDash([])
}

function circle(pen: Pen, radius: number, x = 0, y = 0): void {
  pen.beginPath()
  pen.arc(x, y, radius, 0, Math.PI * 2)
}

function line(pen: Pen, from: Corner, to: Corner): void {
  pen.beginPath()
  pen.moveTo(...from)
  pen.lineTo(...to)
}

function polygon(pen: Pen, corners: readonly Corner[]): void {
  pen.beginPath()
  for (const corner of corners) pen.lineTo(...corner)
  pen.closePath()
}

/** Corners of a regular polygon; `turn` in degrees, 0 puts the first corner to the right. */
function regular(count: number, radius: number, turn: number, y = 0): Corner[] {
  return Array.from({ length: count }, (_, at) => {
    const angle = ((turn + (360 * at) / count) * Math.PI) / 180
    return [radius * Math.cos(angle), y + radius * Math.sin(angle)] as const
  })
}

function write(pen: Pen, text: string, font: string, style: string, baseline: number): void {
  pen.font = font
  pen.textAlign = 'center'
  pen.fillStyle = style
  pen.fillText(text, 0, baseline)
}

function aqiShape(pen: Pen, level: number): void {
  const r = AQI_R
  switch (level) {
    case 2:
      pen.beginPath()
      return pen.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r)
    case 3:
      return polygon(pen, regular(4, 1.3 * r, 0))
    case 4:
      return polygon(pen, regular(5, 1.18 * r, -90, 0.07 * r))
    case 5:
      return polygon(pen, regular(6, 1.12 * r, 0))
    case 6:
      return polygon(pen, regular(8, 1.12 * r, 22.5))
    default:
      return circle(pen, r)
  }
}

function aqi(pen: Pen, level: number, figure: number | null, freshness: Freshness, palette: Palette): void {
  const { color } = palette
  if (figure === null || level === 0 || freshness === 'never' || freshness === 'error') {
    return silent(pen, freshness, palette)
  }
  aqiShape(pen, level)
  // Red and maroon recede on dark ground.
  if (level >= 4) stroke(pen, '#fff', 5)
  fill(pen, color[`aqi-${level}` as Token])
  stroke(pen, INK, 1.5)
  if (level === 6) {
    polygon(pen, regular(8, 0.92 * AQI_R, 22.5))
    stroke(pen, '#fff', 1)
  }
  write(pen, String(figure), `700 12px ${TEXT}`, color[`aqi-${level}-on` as Token], 4.3)
  badge(pen, freshness, 13.5, palette)
}

/** A station without a number: the ring itself says why. */
function silent(pen: Pen, freshness: Freshness, { color }: Palette): void {
  circle(pen, 12)
  fill(pen, color['surface-2'])
  if (freshness === 'error') {
    stroke(pen, color.crit, 1.8)
    line(pen, [-4.6, -4.6], [4.6, 4.6])
    stroke(pen, color.crit, 2.1)
    line(pen, [4.6, -4.6], [-4.6, 4.6])
    return stroke(pen, color.crit, 2.1)
  }
  if (freshness === 'never') return stroke(pen, color.offline, 1.8, [3.9, 3.1])
  stroke(pen, color.offline, 1.8)
  pen.lineCap = 'round'
  if (freshness === 'offline') line(pen, [-5, 5], [5, -5])
  else line(pen, [-4, 0], [4, 0])
  stroke(pen, color.offline, 2.1)
}

/** Small sign at the upper right of a mark; fresh marks carry none. */
function badge(pen: Pen, freshness: Freshness, at: number, { color }: Palette): void {
  if (freshness === 'fresh') return
  pen.save()
  pen.translate(at, -at)
  circle(pen, 6.2)
  fill(pen, color['surface-2'])
  pen.lineCap = 'butt'
  if (freshness === 'error') {
    pen.beginPath()
    pen.roundRect(-4.4, -4.4, 8.8, 8.8, 1.6)
    fill(pen, color.crit)
    line(pen, [-2.2, -2.2], [2.2, 2.2])
    stroke(pen, color['surface-2'], 1.5)
    line(pen, [2.2, -2.2], [-2.2, 2.2])
    stroke(pen, color['surface-2'], 1.5)
  } else {
    const ink = freshness === 'stale' ? color.stale : color.offline
    circle(pen, 4.1)
    stroke(pen, ink, 1.6, freshness === 'never' ? [1.9, 1.9] : [])
    if (freshness === 'stale') {
      pen.beginPath()
      pen.arc(0, 0, 4.1, Math.PI / 2, (3 * Math.PI) / 2)
      fill(pen, ink)
    } else if (freshness === 'offline') {
      line(pen, [-3, 3], [3, -3])
      stroke(pen, ink, 1.6)
    }
  }
  pen.restore()
}

function severity(pen: Pen, level: number, { color }: Palette): void {
  const r = SEVERITY_R
  if (level === 1) circle(pen, r)
  else if (level === 2) polygon(pen, regular(3, 1.33 * r, -90, 0.12 * r))
  else if (level === 3) polygon(pen, regular(4, 1.2 * r, 0))
  else polygon(pen, regular(8, 1.13 * r, 22.5))
  const tones = ['info', 'warn', 'serious', 'crit'] as const
  fill(pen, color[tones[level - 1] ?? 'crit'])
  stroke(pen, INK, 1.5)
  write(pen, '!', `700 11.5px ${TEXT}`, color['surface-2'], level === 2 ? 5 : 4.1)
}

function icon(pen: Pen, name: IconName, style: string, x: number, y: number, edge: number): void {
  pen.save()
  pen.translate(x - edge / 2, y - edge / 2)
  pen.scale(edge / 24, edge / 24)
  pen.lineCap = 'round'
  pen.lineJoin = 'round'
  pen.strokeStyle = style
  pen.lineWidth = 2
  for (const path of ICONS[name]) pen.stroke(new Path2D(path))
  pen.restore()
}

function facility(pen: Pen, name: IconName, freshness: Freshness, { color }: Palette): void {
  pen.beginPath()
  pen.roundRect(-9.5, -9.5, 19, 19, 4.3)
  fill(pen, color['surface-2'])
  const silenced = freshness === 'offline' || freshness === 'never'
  stroke(pen, color['line-3'], 1.2, freshness === 'never' ? [3, 2.4] : [])
  const shown = name === 'camera' && freshness === 'offline' ? 'camera_off' : name
  icon(pen, shown, silenced ? color.offline : color['text-1'], 0, 0, 12)
}

function cluster(pen: Pen, name: IconName, count: number, { color }: Palette): void {
  circle(pen, 17)
  fill(pen, fade(color['surface-2'], 0.55))
  circle(pen, 14)
  fill(pen, color['surface-2'])
  stroke(pen, color['line-3'], 1.4)
  icon(pen, name, color['text-2'], 0, -5, 10.5)
  const text = count < 10_000 ? String(count) : `${Math.floor(count / 1000)}k`
  write(pen, text, `600 ${text.length > 3 ? 8.5 : 10}px ${FIGURES}`, color['text-1'], 8.7)
}

function wedge(pen: Pen, { color }: Palette): void {
  const shade = pen.createRadialGradient(0, 0, 8, 0, 0, 33)
  shade.addColorStop(0, fade(color.accent, 0.6))
  shade.addColorStop(1, fade(color.accent, 0))
  pen.beginPath()
  pen.moveTo(0, 0)
  pen.arc(0, 0, 33, (-120 * Math.PI) / 180, (-60 * Math.PI) / 180)
  pen.closePath()
  fill(pen, shade)
}

/** A seamless tile of 8 CSS pixels with one diagonal. */
function hatch(pen: Pen, of: 'draft' | 'park' | 'planned', { color, theme }: Palette): void {
  const ink = of === 'draft' ? fade(INK, theme === 'dark' ? 0.75 : 0.5) : fade(color['text-2'], of === 'park' ? 0.34 : 0.2)
  for (const shift of [-8, 0, 8]) {
    line(pen, [shift - 5, 5], [shift + 5, -5])
    stroke(pen, ink, 1)
  }
}
