export type ToastKind = 'ok' | 'warn' | 'error'

export interface Toast {
  id: number
  kind: ToastKind
  text: string
}

const MOST = 3
const GONE_AFTER_MS = 6_000

/** At most three messages; errors stay until they are closed. */
export class Toasts {
  list = $state.raw<Toast[]>([])
  #next = 1

  show(kind: ToastKind, text: string): void {
    // Telling the same thing twice helps nobody.
    if (this.list.some((toast) => toast.text === text)) return
    const toast = { id: this.#next++, kind, text }
    const kept = [...this.list]
    // Room is made by the oldest that may go; errors go last.
    while (kept.length >= MOST) {
      const oldest = kept.findIndex((other) => other.kind !== 'error')
      kept.splice(Math.max(0, oldest), 1)
    }
    this.list = [...kept, toast]
    if (kind !== 'error') setTimeout(() => this.close(toast.id), GONE_AFTER_MS)
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id)
  }
}
