/** How the last runs of a source ended, as bars and in words. */
import { t } from '../../shared/i18n.svelte'

export type RunEnd = 'unchanged' | 'changed' | 'partly' | 'failed' | 'cancelled'

export const SHOWN = 24

/** Height of a bar as a part of the whole: the shape tells the end without its colour. */
export const HEIGHTS: Readonly<Record<RunEnd, number>> = { changed: 1, unchanged: 1, partly: 0.6, cancelled: 0.4, failed: 1 }

/** The newest 24, oldest first; `null` where there was no run yet. */
export const barsOf = (runs: readonly RunEnd[]): (RunEnd | null)[] => [
  ...Array.from({ length: Math.max(0, SHOWN - runs.length) }, () => null), ...runs.slice(-SHOWN),
]

/** `24 lần gần nhất: 21 tốt, 2 một phần, 1 lỗi`. */
export function runsText(runs: readonly RunEnd[]): string {
  const last = runs.slice(-SHOWN)
  if (last.length === 0) return t('runs.none')
  const count = (...ends: RunEnd[]) => last.filter((end) => ends.includes(end)).length
  return t('runs.summary', {
    n: last.length, good: count('changed', 'unchanged'), partly: count('partly', 'cancelled'), failed: count('failed'),
  })
}
