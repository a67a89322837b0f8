import { expect, test } from 'vitest'
import { barsOf, type RunEnd, runsText } from './runs'

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
