import { captchaOf, type Captcha, type CaptchaConfig } from './captcha.ts'
import { clockSkew, ask, online, orderPath, sleep } from './world.ts'
import { countDown } from './countdown.ts'
import { mark, sentences, summarise, unmark } from './errors.ts'
import { Drafts, Keys, type Keeper } from './keep.ts'
import { answers, People, restore, type Question } from './people.ts'
import { controls, readRequest, type Request } from './pointer.ts'
import { composition, priceText, quote, type Agreed, type Category } from './price.ts'
import { lookUp, submit, type Answer, type Fault, type News, type Order, type Problem } from './submit.ts'
import type { Words } from './text.ts'

export interface FormData {
  slug: string
  lang: string
  max: number
  opensAt: string
  open: boolean
  categories: Category[]
  questions: Question[]
  captcha?: CaptchaConfig
  /** One sends the form in one's turn. */
  room?: boolean
}

/** A visitor's turn in the waiting room. */
export interface Turn {
  /** Calls back whenever the turn comes or goes. */
  start(changed: () => void): void
  /** The pass for the order; '' while it is not the visitor's turn. */
  pass(): string
  /** The server did not take the pass. */
  refused(reason: unknown): void
  /** The only contact address that the pass is good for; '' for any. */
  address(): string
}

/** The registration form of an event. */
export class RegistrationForm {
  private readonly keys: Keys
  private readonly drafts: Drafts
  private readonly people: People
  private readonly captcha: Captcha | null
  private agreed: Agreed | null = null
  private running: AbortController | null = null
  private saving = 0

  constructor(
    private readonly form: HTMLFormElement,
    private readonly data: FormData,
    private readonly words: Words,
    private readonly kept: Keeper,
    private readonly session: Keeper,
    private readonly turn: Turn | null = null,
  ) {
    this.keys = new Keys(kept, data.slug)
    this.drafts = new Drafts(kept, data.slug)
    this.people = new People(form, words, data.max, data.questions)
    this.captcha = captchaOf(data.captcha, form.querySelector<HTMLElement>('#captcha'), words, data.lang)
  }

  start(): void {
    this.form.noValidate = true
    this.people.refresh()
    this.showPrice()
    void this.pickUp()
    this.form.addEventListener('input', () => this.changed())
    this.form.addEventListener('change', () => this.changed())
    this.form.addEventListener('click', (event) => this.clicked(event))
    this.form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.send()
    })
    // Whoever only looks at the form loads no captcha.
    this.form.addEventListener('focusin', () => this.captcha?.prepare(), { once: true })
    window.addEventListener('pagehide', () => this.save())
    if (this.turn) this.turn.start(() => this.turned())
    else if (!this.data.open) void this.waitForOpening()
  }

  /** Until the turn comes the button checks the answers; then it sends them. Whoever came to send them need not press it again. */
  private turned(): void {
    const send = this.sendButton
    if (!send || !this.turn) return
    const comes = this.turn.pass() !== ''
    send.textContent = comes ? this.words.say('js.send') : this.words.say('waiting.form.check')
    if (!comes || location.hash !== '#kirim') return
    history.replaceState(null, '', location.pathname + location.search)
    void this.send()
  }

  private changed(): void {
    this.people.refresh()
    this.showPrice()
    window.clearTimeout(this.saving)
    this.saving = window.setTimeout(() => this.save(), 250)
  }

  private save(): void {
    const values = answers(this.form)
    if (!Object.entries(values).some(([name, value]) => name !== 'self' && value !== '')) return
    this.drafts.save(this.people.count, values)
    this.session.set(this.sessionName, '1')
  }

  private get sessionName(): string {
    return `gapura:${this.data.slug}:here`
  }

  /** Takes up what an earlier visit left: an order whose answer never came, or answers. */
  private async pickUp(): Promise<void> {
    const attempt = this.keys.peek()
    if (!attempt?.sent) {
      this.offerDraft('')
      if (!this.kept.lasting) this.notice(this.words.say('js.storage_blocked'), [])
      return
    }
    // After a reload the answers are there at once, whatever the server says.
    if (this.session.get(this.sessionName)) this.useDraft()
    this.notice(this.words.say('js.checking'), [])
    const found = await lookUp({ find: (signal) => this.find(attempt.key, signal) }, new AbortController().signal)
    if (this.running) return
    this.hideNotice()
    if (found === 'none') {
      this.keys.clear()
      this.offerDraft(this.words.say('js.not_found'))
    } else if (found === 'unknown') this.offerDraft('')
    else this.offerOrder(found)
  }

  /** After a reload the answers come back by themselves; on another visit they are offered, for the device may be shared. */
  private offerDraft(before: string): void {
    if (!this.drafts.load()) {
      if (before) this.notice(before, [])
      return
    }
    if (this.session.get(this.sessionName)) {
      this.useDraft()
      this.notice(`${before} ${this.words.say('js.draft_back')}`.trim(), [[this.words.say('js.draft_clear'), () => this.dropDraft()]])
      return
    }
    const accept = (): void => {
      this.useDraft()
      this.hideNotice()
    }
    this.notice(`${before} ${this.words.say('js.draft')}`.trim(), [
      [this.words.say('js.draft_use'), accept],
      [this.words.say('js.draft_drop'), () => this.dropDraft()],
    ])
  }

  private useDraft(): void {
    const draft = this.drafts.load()
    if (!draft) return
    this.people.resize(draft.people)
    restore(this.form, draft.values)
    this.changed()
  }

  private dropDraft(): void {
    window.clearTimeout(this.saving)
    this.drafts.drop()
    this.session.remove(this.sessionName)
    restore(this.form, { self: '0' })
    this.people.resize(1)
    this.people.refresh()
    this.showPrice()
    this.hideNotice()
    this.field('/contact/name')?.focus()
  }

  private offerOrder(order: Order): void {
    this.keys.made(order.id)
    const again = (): void => {
      this.keys.drop()
      this.hideNotice()
    }
    this.notice(this.words.say('js.found', { number: order.number }), [
      [this.words.say('js.found_go'), () => this.open(order, false)],
      [this.words.say('js.found_other'), again],
    ])
  }

  private clicked(event: Event): void {
    const button = (event.target as HTMLElement).closest<HTMLButtonElement>('button[name=action]')
    if (!button || button.value === 'submit') return
    event.preventDefault()
    if (this.running) return
    const person = button.closest<HTMLFieldSetElement>('.person')
    if (button.value === 'add') this.addPerson()
    else if (person) this.removePerson(person)
    this.changed()
  }

  private addPerson(): void {
    const added = this.people.add()
    added?.focus()
    added?.scrollIntoView({ block: 'start', behavior: calm() ? 'auto' : 'smooth' })
    if (added) say(this.words.say('js.added', { n: this.people.count }))
  }

  private removePerson(person: HTMLFieldSetElement): void {
    const n = this.people.all.indexOf(person) + 1
    this.people.remove(person)
    this.people.all.at(-1)?.focus()
    say(this.words.say('js.removed', { n }))
  }

  private showPrice(): void {
    const summary = document.getElementById('summary')
    if (!summary) return
    const chosen = this.people.chosen()
    const { lines, total } = quote(this.data.categories, chosen, this.agreed)
    const sum = total ?? lines.reduce((n, line) => n + line.amount, 0)
    const free = this.words.say('js.free')
    if (lines.length === 0) {
      summary.replaceChildren(element('p', 'quiet', this.words.say('form.total_none')))
      return
    }
    const list = element('ul', 'lines')
    for (const { category, count, amount } of lines) {
      list.append(row('li', this.words.say('js.line', { n: count, category: category.name }), priceText(amount, free)))
    }
    const last = row('p', this.words.say('form.total'), priceText(sum, free))
    last.className = 'total'
    summary.replaceChildren(list, last)
  }

  /** What the browser itself can tell is said before anything is sent. */
  private check(): Fault[] {
    const out: Fault[] = []
    const seen = new Set<string>()
    for (const control of controls(this.form)) {
      if (control.disabled || seen.has(control.name) || control.validity.valid || !shown(control)) continue
      seen.add(control.name)
      const v = control.validity
      const code = v.badInput ? 'date_invalid' : v.valueMissing ? 'required' : v.typeMismatch ? 'email_invalid' : ''
      if (code) out.push({ pointer: control.name, code })
    }
    const confirmed = this.turn?.address() ?? ''
    const typed = this.form.querySelector<HTMLInputElement>('[name="/contact/email"]')?.value.trim().normalize('NFC').toLowerCase() ?? ''
    if (confirmed && typed && typed !== confirmed) out.push({ pointer: '/contact/email', code: 'not_confirmed' })
    return out
  }

  private async send(): Promise<void> {
    // A double click, or Enter while it runs: the first one is on its way.
    if (this.running) return
    const faults = this.check()
    if (faults.length > 0) {
      this.showFaults(faults)
      return
    }
    this.save()
    if (this.turn && this.turn.pass() === '') {
      unmark(this.form)
      document.getElementById('alert')?.toggleAttribute('hidden', true)
      this.notice(this.words.say('waiting.form.checked'), [])
      return
    }
    const chosen = this.people.chosen()
    const { total } = quote(this.data.categories, chosen, this.agreed)
    const request = readRequest(this.form, this.data.lang)
    if (total !== null) request.expected_total = total
    this.begin()
    let answer = await this.deliver(request).catch((): Answer => ({ kind: 'stopped', sure: false }))
    // An answer that was too old, or whose server forgot it, is the visitor's fault the second time only.
    if (this.captcha && isRefusedCaptcha(answer)) {
      this.captcha.renew()
      answer = await this.deliver(request).catch((): Answer => ({ kind: 'stopped', sure: false }))
    }
    this.captcha?.renew()
    this.end()
    this.answered(answer, request)
  }

  private async deliver(request: Request): Promise<Answer> {
    const { key } = this.keys.current()
    if (this.captcha) {
      this.progress?.replaceChildren(element('p', '', this.words.say('js.captcha')))
      request.captcha = await this.captcha.token()
    }
    const body = JSON.stringify(request)
    const world = {
      post: (signal: AbortSignal) => {
        this.keys.sending(key)
        return ask(`/api/v1/events/${encodeURIComponent(this.data.slug)}/orders`, signal, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'Idempotency-Key': `"${key}"`, ...this.passHeader() },
          body,
        })
      },
      find: (signal: AbortSignal) => this.find(key, signal),
      online,
      isOnline: () => navigator.onLine,
      sleep,
      random: Math.random,
      tell: (news: News) => this.tell(news),
    }
    return submit(world, this.running!.signal)
  }

  private passHeader(): Record<string, string> {
    const pass = this.turn?.pass()
    return pass ? { 'Queue-Pass': pass } : {}
  }

  private find(key: string, signal: AbortSignal): ReturnType<typeof ask> {
    return ask(`/api/v1/orders/by-key/${encodeURIComponent(key)}`, signal, { headers: { Accept: 'application/json' } })
  }

  private begin(): void {
    this.running = new AbortController()
    unmark(this.form)
    this.hideNotice()
    document.getElementById('alert')?.toggleAttribute('hidden', true)
    this.sendButton?.setAttribute('aria-disabled', 'true')
    this.form.setAttribute('aria-busy', 'true')
  }

  private end(): void {
    this.running = null
    this.sendButton?.removeAttribute('aria-disabled')
    this.form.removeAttribute('aria-busy')
    this.progress?.replaceChildren()
  }

  private answered(answer: Answer, request: Request): void {
    if (answer.kind === 'order') {
      this.keys.made(answer.order.id)
      this.open(answer.order, answer.earlier)
    } else if (answer.kind === 'stopped') {
      if (answer.sure) this.keys.clear()
      this.alert(this.words.say('form.not_sent'), this.words.say(answer.sure ? 'js.stopped_clear' : 'js.stopped'))
    } else {
      this.keys.clear()
      this.refused(answer.problem, request)
    }
  }

  private refused(problem: Problem, request: Request): void {
    if (problem.code === 'validation_failed' && problem.errors) this.showFaults(problem.errors)
    else if (problem.code === 'queue_pass_required' && this.turn) {
      this.turn.refused(problem.reason)
      this.alert(this.words.say('form.not_sent'), this.words.about('waiting', `${String(problem.reason)}.lead`, {}, problem.detail))
    } else if (problem.code === 'price_changed' && typeof problem.total === 'number') this.askPrice(problem.total, request)
    else {
      const faults = soldOption(problem, request)
      const marked = sentences(faults, this.words, false)
      mark(this.form, marked)
      this.alert(this.words.say('form.not_sent'), this.about(problem), marked)
    }
  }

  private about(problem: Problem): string {
    if (problem.code !== 'sold_out') return this.words.about('fault', problem.code, {}, problem.detail)
    if (typeof problem.option === 'string') return this.words.say('fault.sold_out.option')
    if (problem.may_return === true) {
      const at = Date.parse(String(problem.next_hold_ends_at ?? ''))
      const said = this.words.say('fault.sold_out.held')
      if (Number.isNaN(at)) return said
      const when = new Intl.DateTimeFormat(this.data.lang, { hour: '2-digit', minute: '2-digit' }).format(at)
      return `${said} ${this.words.say('event.held_until', { when })}`
    }
    const names = this.data.categories.filter((c) => (problem.categories as string[] | undefined)?.includes(c.id)).map((c) => c.name)
    return names.length > 0 ? this.words.say('fault.sold_out.of', { categories: names.join(', ') }) : this.words.say('fault.sold_out')
  }

  private showFaults(faults: Fault[]): void {
    const self = this.form.querySelector<HTMLInputElement>('#self')?.checked ?? false
    const shown = sentences(faults, this.words, self)
    mark(this.form, shown)
    const title = shown.length === 1 ? this.words.say('form.errors_one') : this.words.say('form.errors_many', { n: shown.length })
    this.alert(title, '', shown)
  }

  /** Nobody pays another sum than they saw: the new one is named and agreed to first. */
  private askPrice(total: number, request: Request): void {
    const free = this.words.say('js.free')
    const values = { old: priceText(request.expected_total ?? total, free), new: priceText(total, free) }
    const agree = (): void => {
      this.agreed = { of: composition(this.people.chosen()), total }
      this.showPrice()
      this.progress?.replaceChildren()
      void this.send()
    }
    const decline = (): void => {
      this.progress?.replaceChildren()
      this.sendButton?.focus()
    }
    const box = element('p', '', this.words.say('js.price_changed', values))
    const yes = button('button', this.words.say('js.price_yes'), agree)
    this.progress?.replaceChildren(box, yes, button('link', this.words.say('js.price_no'), decline))
    yes.focus()
  }

  private tell(news: News): void {
    const seconds = 'seconds' in news ? news.seconds : 0
    const box = this.progress
    if (!box) return
    const text = this.words.say(`js.${news.kind}`, { n: seconds })
    let line = box.querySelector('p')
    if (!line || !box.querySelector('.bar')) {
      line = element('p', '')
      box.replaceChildren(line, element('div', 'bar'), button('link', this.words.say('js.stop'), () => this.running?.abort()))
    }
    if (line.textContent !== text) line.textContent = text
  }

  private open(order: Order, earlier: boolean): void {
    this.progress?.replaceChildren(element('p', '', this.words.say('js.got_it')))
    location.assign(orderPath(order, this.data.lang, earlier))
  }

  /** Before opening everything can be filled in; the button works at the moment of the server's clock. */
  private async waitForOpening(): Promise<void> {
    const send = this.sendButton
    if (!send) return
    send.disabled = true
    const skew = await clockSkew()
    const clock = document.querySelector<HTMLElement>('#upcoming .countdown')
    const opened = (): void => {
      send.disabled = false
      const box = document.getElementById('upcoming')
      if (box) box.replaceChildren(element('p', '', this.words.say('js.open_now')))
    }
    if (clock) countDown(clock, this.words, () => Date.now() + skew, opened)
    else opened()
  }

  private get sendButton(): HTMLButtonElement | null {
    return document.querySelector('#send')
  }

  private get progress(): HTMLElement | null {
    return document.getElementById('progress')
  }

  private field(name: string): HTMLElement | undefined {
    return controls(this.form).find((c) => c.name === name)
  }

  private alert(title: string, text: string, shown: ReturnType<typeof sentences> = []): void {
    const box = document.getElementById('alert')
    if (box) summarise(box, title, text, shown, this.words)
  }

  private notice(text: string, actions: [string, () => void][]): void {
    const box = document.getElementById('notice')
    if (!box) return
    box.replaceChildren(element('p', '', text), ...actions.map(([label, act]) => button('link', label, act)))
    box.hidden = false
  }

  private hideNotice(): void {
    document.getElementById('notice')?.toggleAttribute('hidden', true)
  }
}

/** The inputs that chose an option which is gone, given as question:value. */
function soldOption(problem: Problem, request: Request): Fault[] {
  if (problem.code !== 'sold_out' || typeof problem.option !== 'string') return []
  const cut = problem.option.indexOf(':')
  const question = problem.option.slice(0, cut)
  const value = problem.option.slice(cut + 1)
  return request.participants.flatMap((p, i) =>
    p.answers?.[question] === value ? [{ pointer: `/participants/${i}/answers/${question}`, code: 'option_sold_out' }] : [],
  )
}

function isRefusedCaptcha(answer: Answer): boolean {
  return answer.kind === 'refused' && answer.problem.code === 'captcha_failed'
}

function shown(control: HTMLElement): boolean {
  return control.offsetParent !== null
}

function calm(): boolean {
  return window.matchMedia('(prefers-reduced-motion: reduce)').matches
}

function say(text: string): void {
  const box = document.getElementById('said')
  if (box) box.textContent = text
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, name: string, text = ''): HTMLElementTagNameMap[K] {
  const out = document.createElement(tag)
  if (name) out.className = name
  out.textContent = text
  return out
}

function row(tag: 'li' | 'p', text: string, amount: string): HTMLElement {
  const out = document.createElement(tag)
  out.append(element('span', '', text), element('b', '', amount))
  return out
}

function button(name: string, text: string, act: () => void): HTMLButtonElement {
  const out = element('button', name, text)
  out.type = 'button'
  out.addEventListener('click', act)
  return out
}
