import type { Words } from './text.ts'

export interface Left {
  days: number
  hours: number
  minutes: number
  seconds: number
}

/** Splits milliseconds, rounded up: a countdown shows 0 only when the time has come. */
export function split(milliseconds: number): Left {
  const all = Math.max(0, Math.ceil(milliseconds / 1000))
  return {
    days: Math.floor(all / 86400),
    hours: Math.floor((all % 86400) / 3600),
    minutes: Math.floor((all % 3600) / 60),
    seconds: all % 60,
  }
}

/** The parts worth showing: no days on the last day, no hours in the last hour. */
export function parts(left: Left): (keyof Left)[] {
  if (left.days > 0) return ['days', 'hours', 'minutes', 'seconds']
  if (left.hours > 0) return ['hours', 'minutes', 'seconds']
  return ['minutes', 'seconds']
}

/** Counts an element down to its data-until and calls over once. Returns a function that ends it. */
export function countDown(element: HTMLElement, words: Words, now: () => number, over: () => void): () => void {
  const until = Date.parse(element.dataset.until ?? '')
  if (Number.isNaN(until)) return () => undefined
  let timer = 0
  const step = (): void => {
    const milliseconds = until - now()
    show(element, split(milliseconds), words)
    if (milliseconds <= 0) {
      over()
      return
    }
    timer = window.setTimeout(step, (milliseconds % 1000) + 15)
  }
  element.hidden = false
  step()
  return () => window.clearTimeout(timer)
}

function show(element: HTMLElement, left: Left, words: Words): void {
  element.replaceChildren(
    ...parts(left).map((part) => {
      const box = document.createElement('span')
      const number = document.createElement('b')
      number.textContent = part === 'days' ? String(left[part]) : String(left[part]).padStart(2, '0')
      const unit = document.createElement('small')
      unit.textContent = words.say(`count.${part}`)
      box.append(number, unit)
      return box
    }),
  )
}
