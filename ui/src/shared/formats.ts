/** Figures, times and places as they are written in Vietnam, and their English twins. Pure: language and zone come in. */
import type { Language } from '../bridge'

const MINUS = '−'
/** Joins a figure and its unit so that no line breaks between them. */
export const NBSP = '\u00a0'

/** `24.291,6` (vi), `24,291.6` (en); the minus is U+2212. */
export function formatNumber(value: number, decimals: number, language: Language): string {
  if (!Number.isFinite(value)) return '–'
  const [thousands, point] = language === 'vi' ? ['.', ','] : [',', '.']
  const [whole = '0', fraction] = Math.abs(value).toFixed(decimals).split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, thousands)
  const text = fraction === undefined ? grouped : grouped + point + fraction
  // What rounds to zero has no sign.
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text
}

/** `+16`, `−3`, `0`. */
export function formatSigned(value: number, language: Language): string {
  return (value > 0 ? '+' : '') + formatNumber(value, 0, language)
}

export function formatPercent(share: number, language: Language): string {
  return `${formatNumber(share * 100, 0, language)}%`
}

/** A figure with its unit; degrees and per cent stand close. */
export function withUnit(figure: string, unit: string): string {
  return unit === '' ? figure : figure + (/^[°%]/.test(unit) && unit !== '°C' ? '' : NBSP) + unit
}

/** `512 B`, `4,2 kB`, `12 MB`: powers of a thousand. */
export function formatBytes(bytes: number, language: Language): string {
  const units = ['B', 'kB', 'MB', 'GB'] as const
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const n = bytes / 1000 ** power
  return `${formatNumber(n, power > 0 && n < 10 ? 1 : 0, language)}${NBSP}${units[power] ?? 'B'}`
}

/** `80 m`, `0,6 km`, `12 km`. */
export function formatDistance(metres: number, language: Language): string {
  if (metres < 100) return `${formatNumber(metres, 0, language)}${NBSP}m`
  const km = metres / 1000
  return `${formatNumber(km, km < 10 ? 1 : 0, language)}${NBSP}km`
}

/** `9.800,0 m²`, `11,25 ha`, `24,6 km²`, `8.536 km²`. */
export function formatArea(m2: number, language: Language): string {
  if (m2 < 10_000) return `${formatNumber(m2, 1, language)}${NBSP}m²`
  const ha = m2 / 10_000
  if (ha < 1000) return `${formatNumber(ha, 2, language)}${NBSP}ha`
  const km2 = m2 / 1_000_000
  return `${formatNumber(km2, km2 < 100 ? 1 : 0, language)}${NBSP}km²`
}

/** `11,03600° B, 106,36200° Đ` – `11.03600° N, 106.36200° E`. */
export function formatWgs84([lon, lat]: [number, number], language: Language, between = ', '): string {
  const [north, south, east, west] = language === 'vi' ? ['B', 'N', 'Đ', 'T'] : ['N', 'S', 'E', 'W']
  const degrees = (value: number) => `${formatNumber(Math.abs(value), 5, language)}°${NBSP}`
  return `${degrees(lat)}${lat < 0 ? south : north}${between}${degrees(lon)}${lon < 0 ? west : east}`
}

/** X is north and Y is east, as on land certificates: `X 1.220.573,8 · Y 593.993,0`. */
export function formatGrid(north: number, east: number, language: Language, between = ' · '): string {
  return `X${NBSP}${formatNumber(north, 1, language)}${between}Y${NBSP}${formatNumber(east, 1, language)}`
}

/** `1 : 615.000`, rounded to three figures. */
export function formatScale(denominator: number, language: Language): string {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(denominator)) - 2)
  return `1${NBSP}:${NBSP}${formatNumber(Math.round(denominator / step) * step, 0, language)}`
}

/** `20 km`, `500 m`: lengths that are round already. */
export function formatRoundLength(metres: number, language: Language): string {
  return metres >= 1000
    ? `${formatNumber(metres / 1000, 0, language)}${NBSP}km`
    : `${formatNumber(metres, metres < 1 ? 1 : 0, language)}${NBSP}m`
}

interface Clock {
  date: string
  time: string
  seconds: string
}

const clocks = new Map<string, Intl.DateTimeFormat>()

function clockOf(ms: number, zone: string): Clock {
  let format = clocks.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit',
      hour: '2-digit', minute: '2-digit', second: '2-digit',
    })
    clocks.set(zone, format)
  }
  const part: Record<string, string> = {}
  for (const { type, value } of format.formatToParts(ms)) part[type] = value
  return {
    date: `${part.day}/${part.month}/${part.year}`,
    time: `${part.hour}:${part.minute}`,
    seconds: `${part.hour}:${part.minute}:${part.second}`,
  }
}

/** `14:00` in the province's zone. */
export const formatTime = (ms: number, zone: string): string => clockOf(ms, zone).time

/** `14:00:07`. */
export const formatSeconds = (ms: number, zone: string): string => clockOf(ms, zone).seconds

/** `23/11/2026`. */
export const formatDate = (ms: number, zone: string): string => clockOf(ms, zone).date

/** `14:00 23/11/2026`. */
export function formatDateTime(ms: number, zone: string): string {
  const { date, time } = clockOf(ms, zone)
  return `${time} ${date}`
}

/** The time alone while it is of the same day as `now`, else with its date. */
export function formatMoment(ms: number, now: number, zone: string): string {
  return formatDate(ms, zone) === formatDate(now, zone) ? formatTime(ms, zone) : formatDateTime(ms, zone)
}

/** A length of time in the largest unit that fits: the number and the unit's name for the locale. */
export function spanOf(ms: number): { n: number; unit: 'second' | 'minute' | 'hour' | 'day' } {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return { n: seconds, unit: 'second' }
  if (seconds < 3600) return { n: Math.floor(seconds / 60), unit: 'minute' }
  if (seconds < 86_400) return { n: Math.floor(seconds / 3600), unit: 'hour' }
  return { n: Math.floor(seconds / 86_400), unit: 'day' }
}
