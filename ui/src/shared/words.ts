/** Times and ages as sentences of the desk's language. */
import type { FeatureState, Freshness } from '../bridge'
import { formatMoment, spanOf } from './formats'
import { t } from './i18n.svelte'

export function spanText(ms: number): string {
  const { n, unit } = spanOf(ms)
  return t(`span.${unit}`, { n })
}

/** `14:00`, or with its date when it is not of today. */
export const momentText = (time: string | number, now: number, zone: string): string =>
  formatMoment(typeof time === 'number' ? time : Date.parse(time), now, zone)

/** `Mới · đo 14:00, nhận 14:03`, `Trễ · đo 11:00, trễ 3 giờ`. */
export function freshnessText(
  state: { freshness: Freshness; measured_at: string | null; received_at: string | null },
  now: number,
  zone: string,
): string {
  const word = t(`freshness.${state.freshness}`)
  if (state.measured_at === null) return word
  const measured = t('freshness.measured', { when: momentText(state.measured_at, now, zone) })
  const age = Math.max(0, now - Date.parse(state.measured_at))
  if (state.freshness === 'stale') return `${word} · ${measured}, ${t('freshness.late', { span: spanText(age) })}`
  if (state.freshness === 'fresh' && state.received_at !== null) {
    return `${word} · ${measured}, ${t('freshness.received', { when: momentText(state.received_at, now, zone) })}`
  }
  return `${word} · ${measured}`
}

/** What the sensor itself says, when it is not simply measuring. */
export function sensorText(status: FeatureState['status']): string | null {
  return status === 'measuring' ? null : t(`freshness.${status}`)
}
