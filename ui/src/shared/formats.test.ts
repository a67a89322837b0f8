import { expect, test } from 'vitest'
import * as f from './formats'

const ZONE = 'Asia/Ho_Chi_Minh'
const plain = (text: string) => text.replaceAll(f.NBSP, ' ')

test('Vietnamese figures group with dots, English ones with commas', () => {
  expect(f.formatNumber(1012, 0, 'vi')).toBe('1.012')
  expect(f.formatNumber(24291.6, 1, 'vi')).toBe('24.291,6')
  expect(f.formatNumber(24291.6, 1, 'en')).toBe('24,291.6')
  expect(f.formatNumber(1234567, 0, 'vi')).toBe('1.234.567')
  expect(f.formatNumber(999, 0, 'vi')).toBe('999')
})

test('the minus is a minus, and nothing is minus nought', () => {
  expect(f.formatNumber(-3.25, 1, 'vi')).toBe('−3,3')
  expect(f.formatNumber(-0.04, 1, 'vi')).toBe('0,0')
  expect(f.formatSigned(16, 'vi')).toBe('+16')
  expect(f.formatSigned(-16, 'vi')).toBe('−16')
  expect(f.formatSigned(0, 'vi')).toBe('0')
  expect(f.formatNumber(NaN, 1, 'vi')).toBe('–')
})

test('places read as on the mock-up', () => {
  expect(plain(f.formatWgs84([106.362, 11.036], 'vi'))).toBe('11,03600° B, 106,36200° Đ')
  expect(plain(f.formatWgs84([106.362, 11.036], 'en'))).toBe('11.03600° N, 106.36200° E')
  expect(plain(f.formatWgs84([-1, -2], 'vi'))).toBe('2,00000° N, 1,00000° T')
  expect(plain(f.formatGrid(1220573.84, 593993.01, 'vi'))).toBe('X 1.220.573,8 · Y 593.993,0')
})

test('times are of the province, not of the machine', () => {
  const ms = Date.parse('2026-11-23T07:00:09Z')
  expect(f.formatDateTime(ms, ZONE)).toBe('14:00 23/11/2026')
  expect(f.formatSeconds(ms, ZONE)).toBe('14:00:09')
  expect(f.formatDate(Date.parse('2026-11-23T17:00:00Z'), ZONE)).toBe('24/11/2026')
  expect(f.formatTime(Date.parse('2026-11-23T17:00:00Z'), ZONE)).toBe('00:00')
  expect(f.formatMoment(ms, ms + 3_600_000, ZONE)).toBe('14:00')
  expect(f.formatMoment(ms, ms + 24 * 3_600_000, ZONE)).toBe('14:00 23/11/2026')
})

test('lengths and areas take the unit that fits', () => {
  expect(plain(f.formatDistance(80, 'vi'))).toBe('80 m')
  expect(plain(f.formatDistance(600, 'vi'))).toBe('0,6 km')
  expect(plain(f.formatDistance(12_400, 'vi'))).toBe('12 km')
  expect(plain(f.formatArea(9800, 'vi'))).toBe('9.800,0 m²')
  expect(plain(f.formatArea(112_500, 'vi'))).toBe('11,25 ha')
  expect(plain(f.formatArea(37_000_000, 'vi'))).toBe('37,0 km²')
  expect(plain(f.formatArea(8_536_440_000, 'en'))).toBe('8,536 km²')
})

test('units stand behind their figures', () => {
  expect(plain(f.withUnit('69', 'µg/m³'))).toBe('69 µg/m³')
  expect(f.withUnit('60', '%')).toBe('60%')
  expect(f.withUnit('336', '°')).toBe('336°')
  expect(plain(f.withUnit('31', '°C'))).toBe('31 °C')
  expect(f.withUnit('7', '')).toBe('7')
})

test('map scales are rounded', () => {
  expect(plain(f.formatScale(614_873, 'vi'))).toBe('1 : 615.000')
  expect(plain(f.formatRoundLength(20_000, 'vi'))).toBe('20 km')
  expect(plain(f.formatRoundLength(500, 'vi'))).toBe('500 m')
})

test('ages take the largest unit that fits', () => {
  expect(f.spanOf(3 * 3_600_000 + 5)).toEqual({ n: 3, unit: 'hour' })
  expect(f.spanOf(59_000)).toEqual({ n: 59, unit: 'second' })
  expect(f.spanOf(49 * 3_600_000)).toEqual({ n: 2, unit: 'day' })
})

test('bytes go in powers of a thousand', () => {
  const texts = [0, 312, 999, 4_200, 12_345, 1_840_000, 1_000_000_000].map((bytes) => plain(f.formatBytes(bytes, 'vi')))
  expect(texts).toEqual(['0 B', '312 B', '999 B', '4,2 kB', '12 kB', '1,8 MB', '1,0 GB'])
})
