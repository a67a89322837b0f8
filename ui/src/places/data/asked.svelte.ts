/** A question to the core: its last answer stays in sight while it is asked anew. */
import { type Failure, failureOf } from '../../bridge'

export class Asked<T> {
  answer = $state.raw<T | null>(null)
  failure = $state.raw<Failure | null>(null)
  #asked = 0

  /** What a later question overtook is dropped. */
  async ask(question: () => Promise<T>): Promise<void> {
    const turn = ++this.#asked
    try {
      const answer = await question()
      if (turn !== this.#asked) return
      this.answer = answer
      this.failure = null
    } catch (reason) {
      if (turn === this.#asked) this.failure = failureOf(reason)
    }
  }
}
