import { captchaOf, type Captcha, type CaptchaConfig } from './captcha.ts'
import { countDown } from './countdown.ts'
import type { Turn } from './form.ts'
import { Drafts, Keys, type Keeper } from './keep.ts'
import { Line, type Asked, type Phase, type View } from './line.ts'
import type { State } from './queue.ts'
import type { Words } from './text.ts'

export interface WaitingData {
  slug: string
  lang: string
  formLink: string
  captcha?: CaptchaConfig
}

const tones: Record<Phase, string> = {
  loading: 'soon', none: 'soon', before: 'soon', closed: 'soon', waiting: 'wait', paused: 'wait', turn: 'good', held: 'wait',
  sold_out: 'off', ended: 'off', lapsed: 'off', used: 'off',
}

/** The waiting room: it shows where this browser stands and opens the way to the form when its turn comes. */
export class WaitingPage {
  private readonly line: Line
  private readonly drafts: Drafts
  private readonly captcha: Captcha | null
  private shown = ''
  private counted = ''
  private stopCounting = (): void => undefined
  private resending = 0

  constructor(private readonly data: WaitingData, private readonly words: Words, kept: Keeper) {
    const captcha = captchaOf(data.captcha, document.getElementById('captcha'), words, data.lang)
    this.drafts = new Drafts(kept, data.slug)
    this.captcha = captcha
    this.line = new Line(data.slug, kept, new Keys(kept, data.slug), (view) => this.show(view), async () => {
      const answer = (await captcha?.token()) ?? ''
      captcha?.renew()
      return answer
    })
  }

  start(): void {
    this.steps()
    this.line.start()
  }

  /** The two steps to a number where one person has one. */
  private steps(): void {
    const email = document.querySelector<HTMLFormElement>('#room-email')
    const code = document.querySelector<HTMLFormElement>('#room-code')
    if (!email || !code) return
    const address = field('room-address')
    const digits = field('room-digits')
    if (address && !address.value) address.value = this.line.address()
    address?.addEventListener('focus', () => this.captcha?.prepare(), { once: true })
    email.addEventListener('submit', (event) => {
      event.preventDefault()
      const typed = normal(address?.value ?? '')
      if (!address?.validity.valid || typed === '') return this.fault('room-address', this.words.say('waiting.email_invalid'))
      void this.busy(email, 'waiting.email_sending', async () => {
        const problem = await this.line.ask(typed, this.data.lang)
        this.fault('room-address', problem && this.words.say(askKey(problem)))
        if (!problem) digits?.focus()
      })
    })
    code.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.busy(code, 'waiting.code_sending', async () => {
        const { problem, left } = await this.line.confirm(digits?.value ?? '')
        this.fault('room-digits', problem && this.words.say(codeKey(problem, left), { n: left }))
        if (digits) digits.value = ''
        if (problem) digits?.focus()
      })
    })
    document.getElementById('room-other')?.addEventListener('click', () => {
      this.line.unask()
      address?.focus()
    })
    document.getElementById('room-resend')?.addEventListener('click', () => {
      const asked = this.line.view.asked
      if (!asked) return
      void this.line.ask(asked.email, this.data.lang).then((problem) => {
        this.fault('room-digits', problem && this.words.say(askKey(problem)))
        if (!problem) text('said', this.words.say('waiting.code_resent'))
      })
    })
  }

  /** Runs work with the form's button off. */
  private async busy(form: HTMLFormElement, label: string, work: () => Promise<void>): Promise<void> {
    const button = form.querySelector<HTMLButtonElement>('button[type=submit]')
    if (!button || button.disabled) return
    const said = button.textContent
    button.disabled = true
    button.textContent = this.words.say(label)
    try {
      await work()
    } finally {
      button.disabled = false
      button.textContent = said
    }
  }

  private fault(id: string, said: string): void {
    text(`${id}-error`, said)
    document.getElementById(`${id}-error`)?.toggleAttribute('hidden', !said)
    const input = field(id)
    input?.closest('.field')?.classList.toggle('wrong', said !== '')
    if (said) input?.setAttribute('aria-invalid', 'true')
    else input?.removeAttribute('aria-invalid')
  }

  /** Shows the step that is due, or none. */
  private person(v: View): void {
    const due = v.state?.person && !v.ticket && (v.phase === 'none' || v.phase === 'held')
    document.getElementById('room-person')?.toggleAttribute('hidden', !due)
    document.getElementById('room-email')?.toggleAttribute('hidden', v.asked !== null)
    document.getElementById('room-code')?.toggleAttribute('hidden', v.asked === null)
    window.clearTimeout(this.resending)
    if (due && v.asked) this.resend(v.asked)
  }

  private resend(asked: Asked): void {
    const button = document.querySelector<HTMLButtonElement>('#room-resend')
    if (!button) return
    const left = Math.ceil((asked.resend - this.line.now()) / 1000)
    button.disabled = left > 0
    const label = left > 0 ? this.words.say('waiting.code_resend_in', { n: left }) : this.words.say('waiting.code_resend')
    if (button.textContent !== label) button.textContent = label
    if (left > 0) this.resending = window.setTimeout(() => this.resend(asked), 1000)
  }

  private show(v: View): void {
    const key = sentenceKey(v)
    const values = said(v, this.words, this.data.lang)
    const next = v.phase === 'waiting' && v.standing.ahead <= 0
    text('room-badge', this.words.say(`waiting.${key}.badge`))
    text('room-head', this.words.say(next ? 'waiting.next.head' : `waiting.${key}.head`, values))
    text('room-lead', this.words.say(`waiting.${key}.lead`, values))
    const tone = tones[v.phase]
    const section = document.querySelector<HTMLElement>('.verdict.room')
    if (section) section.className = `verdict ${tone} room`
    const badge = document.getElementById('room-badge')
    if (badge) badge.className = `badge ${tone}`
    this.clock(v)
    this.meter(v)
    this.person(v)
    this.ticket(v)
    this.actions(v, key)
    this.link(v)
    if (v.phase !== this.shown) {
      if (this.shown) text('said', this.words.say(`waiting.${key}.head`, values))
      document.title = document.title.replace(/^(\([^)]*\) )?/, v.phase === 'turn' ? `(${this.words.say('waiting.turn.badge')}) ` : '')
      this.shown = v.phase
    }
  }

  /** Counts down to opening, then to the end of the pass. */
  private clock(v: View): void {
    const box = document.getElementById('room-clock')
    if (!box || !v.state) return
    const waits = v.state.phase === 'before' || v.state.phase === 'closed'
    const until = v.phase === 'turn' ? new Date(v.until).toISOString() : waits && v.phase !== 'sold_out' ? v.state.opens_at : ''
    if (until === this.counted) return
    this.counted = until
    this.stopCounting()
    box.replaceChildren()
    if (!until) return
    const clock = element('div', 'countdown')
    clock.dataset.until = until
    clock.setAttribute('role', 'timer')
    box.append(clock)
    this.stopCounting = countDown(clock, this.words, () => this.line.now(), () => v.phase === 'turn' && this.line.refused('lapsed'))
  }

  private meter(v: View): void {
    const meter = document.getElementById('room-meter')
    if (!meter || !v.state) return
    const all = v.state.drawn + v.state.late
    const waits = v.state.phase === 'open' && v.ticket !== null && (v.phase === 'waiting' || v.phase === 'paused' || v.phase === 'held')
    meter.hidden = !waits || all === 0
    // From where the line stood to this visitor: what was served of all in front.
    const ahead = Math.max(v.standing.ahead, 0)
    const done = Math.round((100 * v.state.served) / Math.max(v.state.served + ahead, 1))
    meter.querySelector('progress')?.setAttribute('value', String(done))
    meter.querySelector('.bar')?.setAttribute('aria-valuenow', String(done))
  }

  private ticket(v: View): void {
    const box = document.getElementById('room-ticket')
    if (!box) return
    box.hidden = v.ticket === null
    if (!v.ticket) return
    text('room-number', grouped(v.ticket.number))
    text('room-ticket-title', this.words.say(v.ticket.kind === 'drawn' ? 'waiting.number' : 'waiting.number_late'))
    text('room-number-help', this.words.say(v.ticket.kind === 'drawn' ? 'waiting.number_help' : 'waiting.number_help_late'))
    const place = document.getElementById('room-place')
    if (!place || !v.state) return
    place.hidden = v.ticket.kind !== 'late'
    place.textContent = this.words.say('waiting.place', { n: number(v.state.drawn + v.ticket.place, this.data.lang) })
  }

  private actions(v: View, key: string): void {
    const box = document.getElementById('room-actions')
    if (!box) return
    const filled = this.drafts.load() !== null
    const want = `${key} ${filled} ${v.trouble}`
    if (box.dataset.shown === want) return
    box.dataset.shown = want
    box.replaceChildren(...this.buttons(v, key, filled))
    if (v.phase === 'turn') box.querySelector<HTMLElement>('.button')?.focus({ preventScroll: true })
  }

  private buttons(v: View, key: string, filled: boolean): HTMLElement[] {
    const form = (label: string, hash = ''): HTMLElement => {
      const a = element('a', 'button', this.words.say(label)) as HTMLAnchorElement
      a.href = this.data.formLink + hash
      return a
    }
    switch (v.phase) {
      case 'none':
      case 'lapsed':
      case 'used': {
        if (v.phase === 'none' && v.state?.person) return []
        const label = v.phase === 'none' ? (key === 'none_draw' ? 'waiting.take' : 'waiting.queue') : 'waiting.again'
        const taken = this.taker(label, v.phase === 'none')
        return v.trouble ? [taken, element('p', 'note warn', this.words.say(troubleKey(v.trouble)))] : [taken]
      }
      case 'held':
        if (!v.ticket && v.state?.person) return []
        return v.ticket ? [form(filled ? 'waiting.filled' : 'waiting.fill')] : [this.taker('waiting.queue', true)]
      case 'turn':
        return [filled ? form('waiting.send', '#kirim') : form('waiting.go')]
      case 'before':
      case 'closed':
      case 'waiting':
      case 'paused':
        return [form(filled ? 'waiting.filled' : 'waiting.fill')]
      default:
        return []
    }
  }

  private taker(label: string, first: boolean): HTMLElement {
    const button = element('button', 'button', this.words.say(label)) as HTMLButtonElement
    button.type = 'button'
    button.addEventListener('click', () => {
      button.disabled = true
      button.textContent = this.words.say('waiting.taking')
      const box = document.getElementById('room-actions')
      if (box) box.dataset.shown = ''
      void (first ? this.line.join() : this.line.again())
    })
    return button
  }

  private link(v: View): void {
    const line = document.getElementById('room-link')
    if (!line || v.phase === 'loading') return
    line.classList.toggle('live', !v.stale)
    const key = v.stale ? 'waiting.stale' : 'waiting.live'
    if (line.textContent !== this.words.say(key)) line.textContent = this.words.say(key)
    const placeless = v.phase === 'none' && v.state?.person !== undefined && !v.stale // there is no place to be safe yet
    line.hidden = v.phase === 'sold_out' || v.phase === 'ended' || placeless
  }
}

/** The turn of a form: a short line above it says how the queue stands. */
export function formTurn(slug: string, lang: string, words: Words, kept: Keeper): Turn {
  let changed = (): void => undefined
  let before: string | null = null
  let counted = ''
  let stop = (): void => undefined
  const line: Line = new Line(slug, kept, new Keys(kept, slug), (v) => {
    const key = sentenceKey(v)
    const values = said(v, words, lang)
    const box = document.getElementById('queue')
    if (box) box.className = `note queue-note ${tones[v.phase]}`
    if (v.phase === 'none') text('queue-text', words.say('waiting.form.none'))
    else if (v.phase !== 'loading') text('queue-text', `${words.say(`waiting.${key}.head`, values)} ${words.say(`waiting.${key}.lead`, values)}`)
    const clock = document.getElementById('queue-clock')
    const until = v.phase === 'turn' ? new Date(v.until).toISOString() : ''
    if (clock && until !== counted) {
      counted = until
      stop()
      clock.replaceChildren()
      if (until) {
        const count = element('div', 'countdown')
        count.dataset.until = until
        clock.append(count)
        stop = countDown(count, words, () => line.now(), () => line.refused('lapsed'))
      }
    }
    if (line.pass() !== before) {
      before = line.pass()
      changed()
    }
  })
  return {
    start: (callback) => {
      changed = callback
      const email = document.querySelector<HTMLInputElement>('[name="/contact/email"]')
      if (email && !email.value) email.value = line.address()
      changed()
      line.start()
    },
    pass: () => line.pass(),
    refused: (reason) => line.refused(reason),
    address: () => line.address(),
  }
}

function sentenceKey(v: View): string {
  if (v.phase === 'none' && v.state?.person) {
    if (v.asked) return 'code'
    return v.state.phase === 'before' && v.state.commitment ? 'none_person' : 'none_person_late'
  }
  if (v.phase === 'none' && v.state?.phase === 'before' && v.state.commitment) return 'none_draw'
  if ((v.phase === 'before' || v.phase === 'closed') && !v.state?.commitment) return 'before_fifo'
  return v.phase
}

function said(v: View, words: Words, lang: string): Record<string, string> {
  const people = v.phase === 'before' || v.phase === 'closed' ? Math.max((v.state as State).drawn, 1) : v.standing.ahead
  return { n: people < 0 ? words.say('waiting.some') : number(people, lang), time: lasting(v.standing.wait, words), email: v.asked?.email ?? '' }
}

function lasting(milliseconds: number, words: Words): string {
  const minutes = Math.ceil(milliseconds / 60_000)
  if (milliseconds < 0) return words.say('waiting.time_unknown')
  if (milliseconds < 60_000) return words.say('waiting.time_soon')
  if (minutes < 60) return words.say('waiting.time_minutes', { n: minutes })
  return words.say('waiting.time_hours', { n: Math.floor(minutes / 60), m: minutes % 60 })
}

function troubleKey(code: string): string {
  if (code === 'rate_limited') return 'waiting.limited'
  return code === 'captcha_failed' ? 'waiting.captcha' : 'waiting.trouble'
}

function askKey(problem: string): string {
  if (problem === 'validation_failed') return 'waiting.email_invalid'
  const key = troubleKey(problem)
  return key === 'waiting.trouble' ? 'waiting.code_trouble' : key
}

function codeKey(problem: string, left: number): string {
  if (problem === 'wrong_code') return left > 0 ? 'waiting.wrong_code' : 'waiting.too_many'
  if (problem === 'too_many') return 'waiting.too_many'
  return problem === 'lapsed' ? 'waiting.code_lapsed' : askKey(problem)
}

/** An address as the server compares it. */
export function normal(address: string): string {
  return address.trim().normalize('NFC').toLowerCase()
}

function field(id: string): HTMLInputElement | null {
  return document.querySelector<HTMLInputElement>(`#${id}`)
}

function number(n: number, lang: string): string {
  return new Intl.NumberFormat(lang).format(n)
}

function grouped(n: string): string {
  return n.replace(/(.{4})(?=.)/g, '$1 ')
}

function text(id: string, said: string): void {
  const e = document.getElementById(id)
  if (e && e.textContent !== said) e.textContent = said
}

function element(tag: string, className: string, content = ''): HTMLElement {
  const e = document.createElement(tag)
  if (className) e.className = className
  if (content) e.textContent = content
  return e
}
