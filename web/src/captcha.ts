import type { Words } from './text.ts'

export interface CaptchaConfig {
  provider: 'altcha' | 'turnstile'
  siteKey?: string
  action: string
}

/** What a provider's widget can do. solve takes seconds on a slow phone; it rejects when the provider cannot be reached. */
export interface Widget {
  solve(): Promise<string>
}

/** Milliseconds after which a solved captcha is not sent any more: Turnstile's lasts 300 s, ALTCHA's 600 s. */
const goodFor = { altcha: 540_000, turnstile: 270_000 }

/** Milliseconds to wait for a widget: its server may be blocked on this network. */
const patience = 30_000

/** A captcha that is loaded when the visitor begins to fill in the form, and solved by the time it is sent. */
export class Captcha {
  private widget: Promise<Widget> | null = null
  private answer: Promise<string> | null = null
  private solvedAt = 0

  constructor(
    private readonly provider: CaptchaConfig['provider'],
    private readonly load: () => Promise<Widget>,
    private readonly now: () => number = Date.now,
  ) {}

  /** Starts to solve, unless it has been. */
  prepare(): void {
    void this.token().catch(() => undefined)
  }

  /** An answer that has not been used for another registration; empty if the provider cannot be reached. */
  async token(): Promise<string> {
    if (this.answer && this.solvedAt > 0 && this.now() - this.solvedAt > goodFor[this.provider]) this.renew()
    this.answer ??= this.solve()
    try {
      return await this.answer
    } catch {
      this.answer = null
      return ''
    }
  }

  /** Forgets the answer, because it was used or refused. */
  renew(): void {
    this.answer = null
    this.solvedAt = 0
  }

  private async solve(): Promise<string> {
    this.widget ??= this.load()
    try {
      const widget = await this.widget
      const answer = await within(widget.solve(), patience)
      this.solvedAt = this.now()
      return answer
    } catch (error) {
      this.widget = null
      throw error
    }
  }
}

async function within<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the captcha is not solved')), milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The captcha of a form, loaded into box; null on a form without. */
export function captchaOf(config: CaptchaConfig | undefined, box: HTMLElement | null, words: Words, lang: string): Captcha | null {
  if (!config || !box) return null
  const load = (): Promise<Widget> =>
    config.provider === 'altcha'
      ? import('./altcha.ts').then((m) => m.altcha(box, words, config.action))
      : import('./turnstile.ts').then((m) => m.turnstile(box, config, lang))
  return new Captcha(config.provider, load)
}
