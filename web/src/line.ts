import { keeperOf, newKey, type Keeper, type Keys } from './keep.ts'
import { firstPoll, nextPoll, ranker, readTicket, stand, type Standing, type State, type Ticket } from './queue.ts'
import { ask } from './world.ts'

/** What a visitor sees. 'none' has no ticket; 'lapsed' and 'used' had a pass that is worth nothing any more. */
export type Phase = 'loading' | 'none' | 'before' | 'closed' | 'waiting' | 'paused' | 'turn' | 'held' | 'sold_out' | 'ended' | 'lapsed' | 'used'

/** A code that this browser had mailed. */
export interface Asked {
  confirmation: string
  email: string
  /** When the code lapses, and from when on it can be sent again, in milliseconds of the server's clock. */
  until: number
  resend: number
}

export interface View {
  phase: Phase
  /** The code that is waited for, where a person has one number. */
  asked: Asked | null
  state: State | null
  ticket: Ticket | null
  rank: string
  standing: Standing
  /** When the pass lapses, in milliseconds of the server's clock; 0 without one. */
  until: number
  /** The last poll failed: what is shown may be old. */
  stale: boolean
  /** Why no ticket could be drawn, as a problem's code; '' if none failed. */
  trouble: string
}

interface Pass {
  pass: string
  until: number
  key: string
}

/** For how many milliseconds a state tells how often to ask. */
const recent = 10_000

/** The place of this browser in an event's line: it polls the public state, works its own place out and exchanges the ticket in its turn. */
export class Line {
  private state: State | null = null
  private ticket: Ticket | null
  private rank = ''
  private lost: '' | 'lapsed' | 'used' = ''
  private trouble = ''
  private stale = false
  private failures = 0
  private skew = 0
  private timer = 0
  private polling = false
  private looked = 0
  private joining = false

  constructor(
    private readonly slug: string,
    private readonly kept: Keeper,
    private readonly keys: Keys,
    private readonly tell: (view: View) => void,
    private readonly captcha: () => Promise<string> = async () => '',
  ) {
    this.ticket = this.load()
  }

  start(): void {
    void this.poll()
    const wake = (): void => void (document.visibilityState === 'visible' && this.poll())
    document.addEventListener('visibilitychange', wake)
    window.addEventListener('online', wake)
    // Another tab drew, or its pass lapsed.
    window.addEventListener('storage', (event) => event.key?.startsWith(this.name('')) && this.reread())
  }

  now(): number {
    return Date.now() + this.skew
  }

  /** The pass for the order that the form sends next; '' without one that counts. */
  pass(): string {
    return this.valid()?.pass ?? ''
  }

  get view(): View {
    const standing = this.standing()
    return {
      phase: this.phase(standing), asked: this.asked(), state: this.state, ticket: this.ticket, rank: this.rank, standing,
      until: this.valid()?.until ?? 0, stale: this.stale, trouble: this.trouble,
    }
  }

  /** Draws a ticket, once however often it is called. The key lets a repeat after a lost answer get the same number. */
  async join(): Promise<void> {
    if (this.joining || this.ticket) return
    this.joining = true
    this.trouble = ''
    let seconds: number | undefined
    try {
      const key = this.drawKey()
      const captcha = await this.captcha()
      const reply = await this.post('tickets', captcha ? { captcha } : {}, { 'Idempotency-Key': `"${key}"` })
      const body = reply.body as { ticket?: string; code?: string; wait_s?: number } | null
      seconds = body?.wait_s
      if (reply.status === 201 && typeof body?.ticket === 'string') this.take(body.ticket)
      else this.trouble = body?.code ?? 'overloaded'
    } catch {
      this.trouble = 'unreachable'
    } finally {
      this.joining = false
    }
    this.show()
    if (this.ticket) this.pollIn(seconds)
  }

  /** Has a code mailed to an address; asking again with the same one sends the mail again. Returns a problem's code, '' if there is none. */
  async ask(email: string, lang: string): Promise<string> {
    const captcha = await this.captcha().catch(() => '')
    const body = { email, locale: lang, ...(captcha ? { captcha } : {}) }
    const reply = await this.post('confirmations', body, { 'Idempotency-Key': `"${this.drawKey()}"` }).catch(() => null)
    const answer = reply?.body as { confirmation?: string; expires_at?: string; resend_at?: string; code?: string } | null
    if (reply?.status !== 202 || !answer?.confirmation) return answer?.code ?? 'unreachable'
    const asked: Asked = {
      confirmation: answer.confirmation, email, until: Date.parse(answer.expires_at ?? ''), resend: Date.parse(answer.resend_at ?? ''),
    }
    this.kept.set(this.name('asked'), JSON.stringify(asked))
    this.show()
    return ''
  }

  /** Sends the code of the mail; the right one gets the person's ticket, the same from every browser. */
  async confirm(code: string): Promise<{ problem: string; left: number }> {
    const asked = this.asked()
    if (!asked) return { problem: 'lapsed', left: 0 }
    const reply = await this.post('tickets', { confirmation: asked.confirmation, code }).catch(() => null)
    const answer = reply?.body as { ticket?: string; wait_s?: number; code?: string; reason?: string; attempts_left?: number } | null
    if (reply?.status === 201 && answer?.ticket) {
      this.kept.set(this.name('email'), asked.email)
      this.kept.remove(this.name('asked'))
      this.take(answer.ticket)
      this.show()
      this.pollIn(answer.wait_s)
      return { problem: '', left: 0 }
    }
    const problem = answer?.code === 'confirmation_required' ? (answer.reason ?? 'lapsed') : (answer?.code ?? 'unreachable')
    return { problem, left: answer?.attempts_left ?? 0 }
  }

  /** Forgets the code that was asked for, for another address. */
  unask(): void {
    this.kept.remove(this.name('asked'))
    this.show()
  }

  /** The address that the ticket's person confirmed in this browser; '' if none is known. */
  address(): string {
    return this.kept.get(this.name('email')) ?? ''
  }

  private asked(): Asked | null {
    if (this.ticket) return null
    try {
      const asked = JSON.parse(this.kept.get(this.name('asked')) ?? 'null') as Asked | null
      return asked && asked.until > this.now() ? asked : null
    } catch {
      return null
    }
  }

  private drawKey(): string {
    const key = this.kept.get(this.name('draw')) ?? newKey()
    this.kept.set(this.name('draw'), key)
    return key
  }

  /** Gives up a ticket whose pass is worth nothing any more and queues again. */
  async again(): Promise<void> {
    this.drop()
    if (this.state?.person) this.show()
    else await this.join()
  }

  /** The server did not take the pass. */
  refused(reason: unknown): void {
    this.kept.remove(this.name('pass'))
    if (reason === 'lapsed' || reason === 'used') this.lost = reason
    this.show()
    void this.poll()
  }

  private name(what: string): string {
    return `gapura:${this.slug}:queue:${what}`
  }

  private load(): Ticket | null {
    const cookie = document.cookie.split('; ').find((c) => c.startsWith('antre='))?.slice('antre='.length)
    return readTicket(cookie ?? '') ?? readTicket(this.kept.get(this.name('ticket')) ?? '')
  }

  private reread(): void {
    const ticket = this.load()
    if (ticket?.text !== this.ticket?.text) {
      this.ticket = ticket
      this.lost = ''
      this.rank = ''
    }
    this.show()
  }

  /** The ticket is kept as a cookie for pages without script, which the server works out, and beside it where cookies are blocked. */
  private take(text: string): void {
    this.ticket = readTicket(text)
    this.lost = ''
    this.rank = ''
    if (!this.ticket) return
    this.kept.set(this.name('ticket'), text)
    this.cookie(text, 60 * 24 * 3600)
  }

  private drop(): void {
    this.ticket = null
    this.rank = ''
    this.lost = ''
    for (const what of ['ticket', 'draw', 'pass']) this.kept.remove(this.name(what))
    this.cookie('', 0)
  }

  private cookie(text: string, seconds: number): void {
    const secure = location.protocol === 'https:' ? '; Secure' : ''
    document.cookie = `antre=${text}; Path=/e/${this.slug}; Max-Age=${seconds}; SameSite=Lax${secure}`
  }

  private valid(): Pass | null {
    try {
      const pass = JSON.parse(this.kept.get(this.name('pass')) ?? 'null') as Pass | null
      return pass && pass.until > this.now() && pass.key === this.keys.current().key ? pass : null
    } catch {
      return null
    }
  }

  private standing(): Standing {
    if (!this.state || !this.ticket) return { turn: false, ahead: -1, wait: -1 }
    if (this.ticket.kind === 'drawn' && this.rank === '' && this.state.seed) this.rank = ranker(this.state.seed)(this.ticket.number)
    return stand(this.state, this.ticket, this.rank || '0')
  }

  private phase(standing: Standing): Phase {
    const s = this.state
    if (!s) return 'loading'
    if (this.valid()) return 'turn'
    if (s.phase === 'ended') return 'ended'
    if (s.stock === 'sold_out') return 'sold_out'
    if (this.lost) return this.lost
    if (!this.ticket) return s.phase === 'open' && s.stock === 'held' ? 'held' : 'none'
    if (s.phase === 'before' || s.phase === 'closed') return s.phase
    if (standing.turn) return 'waiting' // the pass is on its way
    if (s.stock === 'held') return 'held'
    return s.paused ? 'paused' : 'waiting'
  }

  private show(): void {
    this.tell(this.view)
  }

  private async poll(): Promise<void> {
    if (this.polling) return
    this.polling = true
    window.clearTimeout(this.timer)
    let wait: number
    try {
      await this.look()
      this.stale = false
      this.failures = 0
      wait = nextPoll(this.state!, this.now(), this.standing(), Math.random())
      if (await this.enter()) wait = Math.min(wait, 2000 + Math.random() * 1000)
    } catch {
      this.stale = true
      wait = 1000 + Math.random() * Math.min(30_000, 2000 * 2 ** this.failures++)
    } finally {
      this.polling = false
    }
    this.show()
    this.timer = window.setTimeout(() => void this.poll(), wait)
  }

  /**
   * Asks when the turn of a new ticket is due, in so many seconds. The state was seen a moment ago: in the second of opening
   * one look more for everybody would be a third of all that is asked.
   */
  private pollIn(seconds: number | undefined): void {
    if (this.polling || !this.state || Date.now() - this.looked > recent || seconds === 0) return void this.poll()
    window.clearTimeout(this.timer)
    this.timer = window.setTimeout(() => void this.poll(), firstPoll(this.state, this.now(), seconds, Math.random()))
  }

  /** Reads the state; an unchanged one is a 304 that the browser answers from its cache. */
  private async look(): Promise<void> {
    const response = await fetch(this.path(''), { cache: 'no-cache', credentials: 'omit', signal: AbortSignal.timeout(15_000) })
    if (!response.ok) throw new Error(String(response.status))
    const age = Number(response.headers.get('Age') ?? 0) * 1000
    const server = Date.parse(response.headers.get('Date') ?? '') + (Number.isNaN(age) ? 0 : age) + 500
    if (Math.abs(server - Date.now()) > 2000) this.skew = server - Date.now()
    else this.skew = 0
    this.state = (await response.json()) as State
    this.looked = Date.now()
  }

  /** Exchanges the ticket if its turn has come. Returns whether to come back soon. */
  private async enter(): Promise<boolean> {
    if (!this.ticket || this.lost || this.valid() || this.state?.stock === 'sold_out' || !this.standing().turn) return false
    const { key } = this.keys.current()
    const reply = await this.post('passes', { ticket: this.ticket.text, idempotency_key: key })
    const body = reply.body as { pass?: string; expires_at?: string; code?: string; reason?: string } | null
    if (reply.status === 201 && body?.pass) {
      const pass: Pass = { pass: body.pass, until: Date.parse(body.expires_at ?? ''), key }
      this.kept.set(this.name('pass'), JSON.stringify(pass))
      return false
    }
    if (body?.code === 'queue_pass_required') {
      if (body.reason === 'lapsed' || body.reason === 'used') this.lost = body.reason
      else if (body.reason !== 'not_yet') this.drop()
    }
    return true
  }

  private path(what: string): string {
    return `/api/v1/events/${encodeURIComponent(this.slug)}/queue${what && '/' + what}`
  }

  private post(what: string, body: unknown, headers: Record<string, string> = {}): ReturnType<typeof ask> {
    return ask(this.path(what), new AbortController().signal, {
      method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
    })
  }
}

/** Where the queue's own things are kept: beside the form's, for all tabs. */
export function lineKeeper(): Keeper {
  return keeperOf(() => window.localStorage)
}
