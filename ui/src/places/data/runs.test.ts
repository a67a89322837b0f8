import { afterEach, expect, test } from 'vitest'
import type { Run } from '../../bridge'
import { setLanguage } from '../../shared/i18n.svelte'
import { Asked } from './asked.svelte'
import { barsOf, briefText, type RunEnd, runsText, tookText } from './runs'

afterEach(() => setLanguage('vi'))

const run = (change: Partial<Run> = {}): Run => ({
  source: 'a', started_at: '2026-11-23T07:00:00Z', ended_at: '2026-11-23T07:00:02.400Z', trigger: 'schedule', outcome: 'changed',
  layers_changed: ['schools'], received: 1284, accepted: 1281, rejected: 3, added: 4, changed: 2, removed: 1, bytes: 1_840_000,
  failure: null, layers: [], ...change,
})

test('the newest 24 runs stand at the right, gaps before them', () => {
  const few = barsOf(['failed', 'changed'])
  expect([few.length, few[0], ...few.slice(-2)]).toEqual([24, null, 'failed', 'changed'])
  const many: RunEnd[] = [...Array.from({ length: 30 }, (): RunEnd => 'unchanged'), 'partly']
  expect(barsOf(many).length).toBe(24)
  expect(barsOf(many).at(-1)).toBe('partly')
})

test('the bars are told in words', () => {
  expect(runsText([])).toBe('Chưa chạy lần nào')
  expect(runsText(['changed', 'unchanged', 'cancelled', 'failed'])).toBe('4 lần gần nhất: 2 tốt, 1 một phần hoặc bị hủy, 1 lỗi')
})

test('a run is told in one line: what it brought, or its error', () => {
  expect(briefText(run())).toBe('nhận 1.284, dùng 1.281, loại 3; thêm 4, sửa 2, mất 1')
  expect(briefText(run({ added: 0, changed: 0, removed: 0 }))).toBe('nhận 1.284, dùng 1.281, loại 3; không đổi')
  expect(briefText(run({ outcome: 'unchanged', received: 0 }))).toBe('Không có gì mới')
  expect(briefText(run({ outcome: 'cancelled', received: 0 }))).toBe('Đã dừng giữa chừng')
  const failure = { code: 'http_status', message: '502 từ example.vn', where: {} }
  expect(briefText(run({ outcome: 'partly', failure }))).toBe('502 từ example.vn')
})

test('how long it took', () => {
  const took = (ended_at: string) => tookText(run({ ended_at }))
  const texts = ['06:59:59', '07:00:00.85', '07:00:02.44', '07:00:48', '07:02:10'].map((time) => took(`2026-11-23T${time}Z`))
  expect(texts).toEqual(['0\u00a0ms', '850\u00a0ms', '2,4\u00a0s', '48 giây', '2 phút'])
  setLanguage('en')
  expect(took('2026-11-23T07:00:02.44Z')).toBe('2.4\u00a0s')
})

test('an answer overtaken by a later question is dropped, and the last one stays while a question fails', async () => {
  const asked = new Asked<number>()
  let answerFirst = (_: number) => {}
  const first = asked.ask(() => new Promise<number>((resolve) => (answerFirst = resolve)))
  await asked.ask(() => Promise.resolve(2))
  answerFirst(1)
  await first
  expect([asked.answer, asked.failure]).toEqual([2, null])
  await asked.ask(() => Promise.reject(new Error('away')))
  expect([asked.answer, asked.failure?.message]).toEqual([2, 'away'])
  await asked.ask(() => Promise.resolve(3))
  expect([asked.answer, asked.failure]).toEqual([3, null])
})
