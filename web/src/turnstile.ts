import type { CaptchaConfig, Widget } from './captcha.ts'

interface Turnstile {
  render(box: HTMLElement, options: Record<string, unknown>): string
  reset(id: string): void
}

const script = 'https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit'

/** Puts Cloudflare's widget into box. */
export async function turnstile(box: HTMLElement, config: CaptchaConfig, lang: string): Promise<Widget> {
  const api = await loaded()
  let settle: { resolve(token: string): void; reject(error: Error): void } | null = null
  let fresh = ''
  const failed = (): void => settle?.reject(new Error('turnstile'))
  box.replaceChildren()
  const id = api.render(box, {
    sitekey: config.siteKey,
    action: config.action,
    language: lang,
    'response-field': false,
    callback: (token: string) => {
      fresh = token
      settle?.resolve(token)
    },
    'error-callback': failed,
    'timeout-callback': failed,
  })
  let used = false
  return {
    solve: () =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject }
        if (used) {
          fresh = ''
          api.reset(id)
        }
        used = true
        if (fresh) resolve(fresh)
      }),
  }
}

function loaded(): Promise<Turnstile> {
  const window = globalThis as { turnstile?: Turnstile }
  if (window.turnstile) return Promise.resolve(window.turnstile)
  return new Promise((resolve, reject) => {
    const element = document.createElement('script')
    element.src = script
    element.async = true
    element.onload = () => (window.turnstile ? resolve(window.turnstile) : reject(new Error('turnstile')))
    element.onerror = () => reject(new Error('turnstile'))
    document.head.append(element)
  })
}
