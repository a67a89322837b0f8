/** Rows mended by hand before a file is taken in. */
import type { RowEdit, TrialColumn, TrialRejection } from '../../../bridge'
import { fieldOf, isPosition, type Mapping } from './mapping'

type Edits = readonly RowEdit[]

function put(edits: Edits, edit: RowEdit): RowEdit[] {
  const rest = edits.filter(({ row }) => row !== edit.row)
  const idle = !edit.swap && Object.keys(edit.cells).length === 0
  return idle ? rest : [...rest, edit].sort((a, b) => a.row - b.row)
}

const editOf = (edits: Edits, row: number): RowEdit =>
  edits.find((edit) => edit.row === row) ?? { row, swap: false, cells: {} }

/** North and east of these rows change places; of those changed over already, back again. */
export function withSwap(edits: Edits, rows: readonly number[]): RowEdit[] {
  return rows.reduce<RowEdit[]>((all, row) => {
    const edit = editOf(all, row)
    return put(all, { ...edit, swap: !edit.swap })
  }, [...edits])
}

/** What cells of a row should say; only those that differ from what the row says now. */
export function withCells(edits: Edits, row: number, now: Readonly<Record<string, string>>, said: Readonly<Record<string, string>>): RowEdit[] {
  const edit = editOf(edits, row)
  const changed = Object.entries(said).filter(([column, text]) => text !== (now[column] ?? ''))
  return put(edits, { ...edit, cells: { ...edit.cells, ...Object.fromEntries(changed) } })
}

/** The columns that a rejection is about; none when it is about the row as a whole. */
export function columnsAtFault({ rejection }: TrialRejection, columns: readonly TrialColumn[], mapping: Mapping): string[] {
  const about = rejection.field
  const filled = columns.filter((column) => {
    const field = fieldOf(column, mapping)
    return about === 'geometry' ? isPosition(field) : about !== '' && (field === about || column.name === about)
  })
  return filled.map(({ name }) => name)
}

export const swappableRows = (rejections: readonly TrialRejection[]): number[] =>
  rejections.filter(({ swappable }) => swappable).map(({ rejection }) => rejection.row)

/** Rows mended by hand that are taken in now. */
export const mendedCount = (edits: Edits, rejections: readonly TrialRejection[]): number =>
  edits.filter(({ row }) => !rejections.some(({ rejection }) => rejection.row === row)).length
