import type { Order, Reply } from './submit.ts'

/** 30 s: a server that has not answered by then will not be heard any more; the key tells what became of it. */
const patience = 30_000

/** Sends a request and reads a JSON answer. Rejects when the network fails or the patience ends. */
export async function ask(path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Reply> {
  const gaveUp = new AbortController()
  const timer = setTimeout(() => gaveUp.abort(new Error('no answer')), patience)
  const stop = (): void => gaveUp.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const response = await fetch(path, { ...init, signal: gaveUp.signal, cache: 'no-store', credentials: 'same-origin' })
    return { status: response.status, body: parse(await response.text()), retryAfter: retryAfter(response.headers) }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}

/** Seconds from Retry-After, which is a number of them or a date. */
export function retryAfter(headers: Headers, now: number = Date.now()): number | null {
  const value = headers.get('Retry-After')
  if (!value) return null
  if (/^\d+$/.test(value.trim())) return Math.min(Number(value), 600)
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.min(600, Math.max(0, Math.ceil((date - now) / 1000)))
}

export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error)
      return
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}

/** The page of an order in a language. Only path and query are taken: the site was reached under the name the visitor knows. */
export function orderPath(order: Order, lang: string, earlier = false): string {
  const url = new URL(order.status_url, location.href)
  url.searchParams.set('lang', lang)
  if (lang === document.documentElement.dataset.locale) url.searchParams.delete('lang')
  if (earlier) url.searchParams.set('earlier', '1')
  return url.pathname + url.search
}

export function online(signal: AbortSignal): Promise<void> {
  if (navigator.onLine) return Promise.resolve()
  return new Promise((resolve, reject) => {
    window.addEventListener('online', () => resolve(), { once: true, signal })
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

/** How much the server's clock is ahead of this device's, in milliseconds; 0 if it cannot be told or is less than two seconds. */
export async function clockSkew(): Promise<number> {
  try {
    const before = Date.now()
    const response = await fetch(location.href, { method: 'HEAD', cache: 'no-store' })
    // A shared cache repeats the origin's Date and says in Age how long ago that was.
    const age = Number(response.headers.get('Age') ?? 0) * 1000
    const server = Date.parse(response.headers.get('Date') ?? '') + (Number.isNaN(age) ? 0 : age)
    // The header is cut to whole seconds, and the answer took a while.
    const skew = server + 500 - (before + Date.now()) / 2
    return Number.isNaN(skew) || Math.abs(skew) < 2000 ? 0 : skew
  } catch {
    return 0
  }
}
