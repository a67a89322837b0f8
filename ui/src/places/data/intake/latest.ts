/** Asks again whenever something changed, once it rests; of several answers only the one to the last question counts. */
export class Latest<T> {
  #asked = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly ask: () => Promise<T>,
    private readonly answered: (answer: { value: T } | { reason: unknown }) => void,
    /** How long a change must rest, in milliseconds. */
    private readonly rest = 350,
  ) {}

  /** Asks at once. Resolves when the question is answered, or no longer counts. */
  async now(): Promise<void> {
    this.drop()
    const mine = this.#asked
    try {
      const value = await this.ask()
      if (mine === this.#asked) this.answered({ value })
    } catch (reason) {
      if (mine === this.#asked) this.answered({ reason })
    }
  }

  soon(): void {
    this.drop()
    this.#timer = setTimeout(() => void this.now(), this.rest)
  }

  /** What was asked so far no longer counts. */
  drop(): void {
    clearTimeout(this.#timer)
    this.#asked++
  }
}
