/** How a person shows themselves to a system: words that stay with the source, and a secret that goes to the keeper at once. */
import { type Credentials, type CredentialsKind, type Failure, failureOf, type KeptSecret } from '../../../bridge'
import type { Desk } from '../../../state/desk.svelte'

export const LOGIN_KINDS: readonly CredentialsKind[] = ['basic', 'api-key', 'bearer', 'client-credentials']

export const isDatabase = (url: string): boolean => /^postgres(ql)?:\/\//i.test(url.trim())

/** The system wants to know who asks, or does not like what it was shown. */
export const wantsLogin = ({ code, where }: Failure): boolean =>
  ['login', 'token_refused', 'no_secret'].includes(code) || (code === 'status' && ['401', '403'].includes(where.status ?? ''))

/** What an address leads to, without what names a collection: a secret is for nobody else. */
function originOf(url: string): string {
  try {
    const { protocol, host } = new URL(url.includes('://') ? url : `http://${url}`)
    return `${protocol}//${host}`
  } catch {
    return url
  }
}

export class Login {
  open = $state(false)
  kind = $state<CredentialsKind>('basic')
  user = $state('')
  header = $state('X-Api-Key')
  tokenUrl = $state('')
  clientId = $state('')
  scope = $state('')
  /** As it is being typed; gone as soon as it is handed over. */
  secret = $state('')
  inFile = $state(false)
  kept = $state.raw<KeptSecret | null>(null)
  /** Why the secret could not be kept. */
  failure = $state.raw<Failure | null>(null)
  #for = ''

  constructor(private readonly desk: Desk) {}

  show(url: string): void {
    this.open = true
    if (!isDatabase(url)) return
    this.kind = 'basic'
    if (this.user !== '') return
    try {
      this.user = decodeURIComponent(new URL(url.trim()).username)
    } catch {
      // An address that is none is said when it is asked.
    }
  }

  /** Nobody is shown anything any more. */
  close(): void {
    this.open = false
    this.forget()
  }

  /** All is there that this kind wants to see. */
  get whole(): boolean {
    const words = {
      basic: [this.user],
      key: [this.user],
      'api-key': [this.header],
      bearer: [],
      'client-credentials': [this.tokenUrl, this.clientId],
    }[this.kind]
    return words.every((word) => word.trim() !== '') && (this.secret !== '' || this.kept !== null)
  }

  get credentials(): Credentials | undefined {
    if (!this.open || !this.kept) return undefined
    const secret = this.kept.name
    if (this.kind === 'basic') return { kind: 'basic', user: this.user.trim(), secret }
    if (this.kind === 'api-key') return { kind: 'api-key', header: this.header.trim(), secret }
    if (this.kind === 'bearer') return { kind: 'bearer', secret }
    const scope = this.scope.trim()
    return {
      kind: 'client-credentials', token_url: this.tokenUrl.trim(), client_id: this.clientId.trim(), secret,
      ...(scope === '' ? {} : { scope }),
    }
  }

  /** Another system is not shown what was typed for the last one. */
  meant(url: string): void {
    if (this.kept && originOf(url) !== this.#for) this.forget()
  }

  /** Hands the secret to the keeper, under the name that it has there already if it has one. */
  async keep(url: string): Promise<boolean> {
    this.failure = null
    if (this.secret === '') return this.kept !== null
    const value = this.secret
    try {
      const name = this.kept?.name
      this.kept = await this.desk.core.act('keep_secret', {
        about: url, value, in_file: this.inFile, ...(name === undefined ? {} : { name }),
      })
      this.#for = originOf(url)
      this.secret = ''
      return true
    } catch (reason) {
      this.failure = failureOf(reason)
      return false
    }
  }

  /** Takes the secret back from the keeper: the source was not added. */
  forget(): void {
    this.secret = ''
    this.failure = null
    if (this.kept) void this.desk.act('forget_secret', { name: this.kept.name })
    this.kept = null
  }

  /** The source has it now. */
  handedOver(): void {
    this.kept = null
  }
}
