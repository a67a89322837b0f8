import { render } from 'svelte/server'
import { describe, expect, test } from 'vitest'
import { type ChartData, hourMarks, layOut } from './chart'
import ThresholdChart from './ThresholdChart.svelte'

const HOUR = 3_600_000
const frame = { left: 0, right: 240, top: 0, bottom: 100 }
const data = (change: Partial<ChartData> = {}): ChartData => ({
  points: [0, 1, 2, 3, 4, 5].map((hour) => [hour * HOUR, 50 + hour * 10]),
  gaps: [],
  from: 0,
  to: 24 * HOUR,
  bands: true,
  limits: [],
  ...change,
})

describe('gaps', () => {
  test('a gap splits the curve and is hatched over its whole length', () => {
    const chart = layOut(data({ gaps: [[2 * HOUR, 3 * HOUR]] }), frame)
    expect(chart.lines).toHaveLength(2)
    expect(chart.gaps).toEqual([{ x: 20, width: 10 }])
  })

  test('without a gap there is one line through all values', () => {
    expect(layOut(data(), frame).lines).toHaveLength(1)
  })

  test('a lone value between two gaps stays visible as a dot', () => {
    const chart = layOut(data({ gaps: [[0.5 * HOUR, 0.9 * HOUR], [1.1 * HOUR, 1.9 * HOUR]] }), frame)
    expect(chart.singles.map((dot) => dot.ms)).toEqual([0, HOUR])
    expect(chart.lines).toHaveLength(1)
  })

  test('a gap at the end ends the curve; no line runs to now', () => {
    const chart = layOut(data({ gaps: [[5 * HOUR, 30 * HOUR]] }), frame)
    expect(chart.last).toMatchObject({ x: 50, value: 100 })
    expect(chart.gaps).toEqual([{ x: 50, width: 190 }])
  })

  test('the drawn chart holds one path a run and the hatch', () => {
    const { body } = render(ThresholdChart, {
      props: { data: data({ gaps: [[2 * HOUR, 3 * HOUR]] }), decimals: 0, unit: '', zone: 'Asia/Ho_Chi_Minh', label: 'x' },
    })
    expect(body.match(/class="line/g)).toHaveLength(2)
    expect(body.match(/class="gap/g)).toHaveLength(1)
  })
})

test('the bands of VN_AQI touch and end with the axis', () => {
  const { bands } = layOut(data(), frame)
  expect(bands.map((band) => band.level)).toEqual([1, 2, 3])
  expect(bands[0]?.y).toBeCloseTo((bands[1]?.y ?? 0) + (bands[1]?.height ?? 0))
  expect(bands.at(-1)?.y).toBeCloseTo(0)
})

test('an axis of plain values frames them and the limits near them', () => {
  const points: [number, number][] = [[0, 6.9], [HOUR, 7.2]]
  const chart = layOut(data({ bands: false, points, limits: [8.5] }), frame)
  expect(chart.limits).toHaveLength(1)
  for (const { y } of [...chart.dots, ...chart.limits]) {
    expect(y).toBeGreaterThan(0)
    expect(y).toBeLessThan(100)
  }
  expect(layOut(data({ bands: false, points, limits: [500] }), frame).limits).toEqual([])
})

test('no values at all still lay out', () => {
  const chart = layOut(data({ points: [], gaps: [[0, 24 * HOUR]], bands: false }), frame)
  expect(chart.last).toBeNull()
  expect(chart.ticks.every((tick) => Number.isFinite(tick.y))).toBe(true)
})

test('time marks are full hours of the province', () => {
  const hourOf = (ms: number) => (ms / HOUR + 7) % 24
  expect(hourMarks(0.5 * HOUR, 24 * HOUR, hourOf).map(hourOf)).toEqual([12, 18, 0, 6])
})
