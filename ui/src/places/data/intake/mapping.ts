/** How columns are matched with fields: what a trial says, and what a person changes. Plain, so that it is tested alone. */
import type { TargetField, Trial, TrialColumn } from '../../../bridge'

/** Field → column, as the core takes it: over what the data standard suggests. An empty column leaves the field empty. */
export type Mapping = Readonly<Record<string, string>>

/** A column that keeps its own name. */
export const OWN_NAME = ''

/** The parts of a position, which are no fields of a layer. */
export const POSITIONS = ['lon', 'lat', 'x', 'y', 'wkt'] as const
export type Position = (typeof POSITIONS)[number]
/** Those that a column can be chosen for; `x` and `y` are only ever recognised. */
export const CHOOSABLE: readonly Position[] = ['lon', 'lat', 'wkt']

export const isPosition = (field: string): field is Position => (POSITIONS as readonly string[]).includes(field)

/** The field that a column fills: as the person chose, else as the trial took it. */
export function fieldOf(column: TrialColumn, mapping: Mapping): string {
  const chosen = Object.entries(mapping).find(([, from]) => from === column.name)
  if (chosen) return chosen[0]
  return column.field !== null && !(column.field in mapping) ? column.field : OWN_NAME
}

/** The mapping after a column was given a field. Whoever had the field before keeps its own name then. */
export function assign(mapping: Mapping, column: TrialColumn, field: string): Mapping {
  const before = fieldOf(column, mapping)
  if (before === field) return mapping
  const next: Record<string, string> = { ...mapping }
  if (before !== OWN_NAME) {
    // A position cannot be left empty: without a column of the person's it is looked for by name.
    if (isPosition(before)) delete next[before]
    else next[before] = ''
  }
  if (field !== OWN_NAME) next[field] = column.name
  return next
}

/** Required fields that no column fills. */
export function missingFields(trial: Trial, mapping: Mapping): TargetField[] {
  const filled = new Set(trial.columns.map((column) => fieldOf(column, mapping)))
  return trial.fields.filter((field) => field.required && field.filled === 0 && !filled.has(field.name))
}

/** How many columns found their field without a person. */
export const suggestedCount = (trial: Trial): number =>
  trial.columns.filter((column) => column.field !== null && column.suggested).length

export interface Check {
  state: 'good' | 'look' | 'idle'
  /** The data standard's own sentences. */
  findings: string[]
}

/** What is to be said of a column beside the field it fills. */
export function checkOf(column: TrialColumn, trial: Trial, mapping: Mapping): Check {
  const name = fieldOf(column, mapping)
  const field = trial.fields.find((field) => field.name === name)
  if (field && field.findings.length > 0) return { state: 'look', findings: field.findings }
  if (name === OWN_NAME || column.filled === 0) return { state: 'idle', findings: [] }
  if (isPosition(name) && trial.outside > 0) return { state: 'look', findings: [] }
  return { state: 'good', findings: [] }
}

/** Whether the position stands in columns that can be chosen. */
export const hasPositionColumns = (trial: Trial): boolean =>
  trial.columns.some((column) => column.field !== null && isPosition(column.field))
