/** The geometry of a threshold chart: from values in time to lines, bands and hatches. Pure, so that gaps are testable. */
import { AQI_ENDS } from './shapes'

export interface ChartData {
  /** Milliseconds and value, in time order. */
  points: [number, number][]
  /** Stretches without a measurement. */
  gaps: [number, number][]
  from: number
  to: number
  /** Draws the bands of VN_AQI behind the curve. */
  bands: boolean
  limits: number[]
}

export interface Frame {
  left: number
  right: number
  top: number
  bottom: number
}

export interface Dot {
  x: number
  y: number
  ms: number
  value: number
}

export interface Chart {
  /** One path for each run of values between gaps. */
  lines: string[]
  /** Runs of a single value, which no line shows. */
  singles: Dot[]
  dots: Dot[]
  gaps: { x: number; width: number }[]
  bands: { level: number; y: number; height: number }[]
  ticks: { value: number; y: number }[]
  limits: { value: number; y: number }[]
  last: Dot | null
}

export function layOut(data: ChartData, frame: Frame): Chart {
  const { from, to } = data
  const x = (ms: number) => frame.left + ((ms - from) / Math.max(1, to - from)) * (frame.right - frame.left)
  const points = data.points.filter(([ms]) => ms >= from && ms <= to)
  const [low, high, step] = domain(points.map(([, value]) => value), data)
  const y = (value: number) => frame.bottom - ((value - low) / (high - low)) * (frame.bottom - frame.top)
  const dots = points.map(([ms, value]) => ({ x: x(ms), y: y(value), ms, value }))
  const runs = split(dots, data.gaps)
  const ticks: number[] = []
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) ticks.push(value)
  return {
    lines: runs.filter((run) => run.length > 1).map(path),
    singles: runs.flatMap((run) => (run.length === 1 ? run : [])),
    dots,
    gaps: data.gaps
      .map(([a, b]) => [Math.max(a, from), Math.min(b, to)] as const)
      .filter(([a, b]) => b > a)
      .map(([a, b]) => ({ x: x(a), width: x(b) - x(a) })),
    bands: data.bands ? bandsUpTo(high).map(({ level, a, b }) => ({ level, y: y(b), height: y(a) - y(b) })) : [],
    ticks: ticks.map((value) => ({ value, y: y(value) })),
    limits: data.limits.filter((value) => value >= low && value <= high).map((value) => ({ value, y: y(value) })),
    last: dots.at(-1) ?? null,
  }
}

/** Values on both sides of a gap never share a run: a line across it would claim what nobody measured. */
function split(dots: Dot[], gaps: [number, number][]): Dot[][] {
  const runs: Dot[][] = []
  let before: Dot | undefined
  for (const dot of dots) {
    const start = before?.ms
    const broken = start === undefined || gaps.some(([a, b]) => b > start && a < dot.ms)
    if (broken) runs.push([dot])
    else runs.at(-1)?.push(dot)
    before = dot
  }
  return runs
}

const path = (run: Dot[]): string => 'M' + run.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')

/** Low end, high end and distance of the axis' marks. */
function domain(values: number[], { bands, limits }: ChartData): [number, number, number] {
  const most = Math.max(...values, ...(values.length === 0 ? [1] : []))
  if (bands) {
    const high = Math.max(120, most * 1.2)
    return [0, high, high > 320 ? 100 : 50]
  }
  const least = Math.min(...values, ...(values.length === 0 ? [0] : []))
  // A limit is drawn when the values come near it, not when it would press them flat.
  const near = limits.filter((limit) => limit <= most * 2 && limit >= least / 2)
  let low = Math.min(least, ...near)
  const high = Math.max(most, ...near)
  if (low >= 0 && low < high * 0.6) low = 0
  const spread = high - low || Math.abs(high) || 1
  const step = nice(spread / 3.5)
  const floor = Math.floor((low === 0 ? 0 : low - spread * 0.05) / step) * step
  return [floor, Math.max(high + spread * 0.12, floor + step), step]
}

/** 1, 2, 2.5 or 5 times a power of ten, not below `value`. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5].find((factor) => factor * power >= value) ?? 10) * power
}

function bandsUpTo(high: number): { level: number; a: number; b: number }[] {
  return AQI_ENDS.map((end, i) => ({ level: i + 1, a: AQI_ENDS[i - 1] ?? 0, b: Math.min(end, high) })).filter(
    ({ a, b }) => b > a,
  )
}

const HOUR_MS = 3_600_000

/** Every sixth full hour between the ends, in the hours of the zone that `hourOf` reads. */
export function hourMarks(from: number, to: number, hourOf: (ms: number) => number): number[] {
  const marks: number[] = []
  for (let ms = Math.ceil(from / HOUR_MS) * HOUR_MS; ms <= to; ms += HOUR_MS) if (hourOf(ms) % 6 === 0) marks.push(ms)
  return marks
}
