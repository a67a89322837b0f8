import { expect, test } from 'vitest'
import { fold, match } from './fold'

test('folds as the core does', () => {
  expect(fold('Trạm khí  Trảng Bàng')).toBe('tram khi trang bang')
  expect(fold('QL22 – ĐT.782, Trảng Bàng')).toBe('ql22 dt 782 trang bang')
})

test('marks the words found, whatever their order', () => {
  expect(match('Chỉ hiện lớp Trạm quan trắc không khí', 'khi tram')).toEqual([[13, 17], [34, 37]])
  expect(match('Đường bộ', 'duong')).toEqual([[0, 5]])
  expect(match('Trường học', 'benh vien')).toBeNull()
  expect(match('Trường học', '  ')).toEqual([])
})
