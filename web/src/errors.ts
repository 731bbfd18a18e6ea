import { idOf, nearest, shownAt } from './pointer.ts'
import type { Fault } from './submit.ts'
import type { Words } from './text.ts'

/** A fault with the sentence for it and the pointer of the input that shows it. */
export interface Shown {
  pointer: string
  text: string
}

/** Turns reported faults into sentences, one an input. */
export function sentences(faults: Fault[], words: Words, self: boolean): Shown[] {
  const seen = new Map<string, Shown>()
  for (const fault of faults) {
    const pointer = shownAt(fault.pointer, self)
    const params = typeof fault.params === 'object' && fault.params ? (fault.params as Record<string, unknown>) : fault
    if (!seen.has(pointer)) seen.set(pointer, { pointer, text: words.about('field', fault.code, params, fault.detail) })
  }
  return [...seen.values()]
}

/** Shows faults at their inputs; what no input can show is left to the summary. */
export function mark(form: HTMLElement, shown: Shown[]): void {
  unmark(form)
  for (const { pointer, text } of shown) {
    const line = document.getElementById(idOf(pointer) + '-error')
    if (!line) continue
    line.textContent = text
    line.hidden = false
    const target = document.getElementById(idOf(pointer))
    line.closest('.field')?.classList.add('wrong')
    if (!target) continue
    if (target.matches('input, select, textarea')) target.setAttribute('aria-invalid', 'true')
    describe(target, line.id, true)
  }
}

/** Takes all faults back. */
export function unmark(form: HTMLElement): void {
  for (const line of form.querySelectorAll<HTMLElement>('.error:not([hidden])')) {
    line.hidden = true
    line.textContent = ''
    const target = document.getElementById(line.id.replace(/-error$/, ''))
    target?.removeAttribute('aria-invalid')
    if (target) describe(target, line.id, false)
    line.closest('.field')?.classList.remove('wrong')
  }
}

function describe(target: HTMLElement, id: string, on: boolean): void {
  const ids = new Set((target.getAttribute('aria-describedby') ?? '').split(' ').filter(Boolean))
  if (on) ids.add(id)
  else ids.delete(id)
  if (ids.size > 0) target.setAttribute('aria-describedby', [...ids].join(' '))
  else target.removeAttribute('aria-describedby')
}

/** Writes the summary with links to the inputs and moves the focus there. */
export function summarise(alert: HTMLElement, title: string, text: string, shown: Shown[], words: Words): void {
  const heading = document.createElement('h2')
  heading.textContent = title
  alert.replaceChildren(heading)
  if (text) alert.append(paragraph(text))
  if (shown.length > 0) {
    const list = document.createElement('ul')
    list.append(...shown.map((one) => item(one, words)))
    alert.append(list)
  }
  alert.hidden = false
  alert.focus()
  alert.scrollIntoView({ block: 'center' })
}

function item({ pointer, text }: Shown, words: Words): HTMLLIElement {
  const link = document.createElement('a')
  const target = focusable(nearest(pointer))
  link.href = '#' + (target?.id ?? '')
  const label = document.createElement('b')
  label.textContent = labelOf(pointer, words) + ':'
  link.append(label, ' ' + text)
  link.addEventListener('click', (event) => {
    event.preventDefault()
    target?.focus()
    target?.scrollIntoView({ block: 'center' })
  })
  const li = document.createElement('li')
  li.append(link)
  return li
}

/** A group of choices is entered at its first choice. */
function focusable(element: HTMLElement | null): HTMLElement | null {
  if (element?.matches('.field fieldset')) return element.querySelector<HTMLElement>('input:not(:disabled)') ?? element
  return element
}

function labelOf(pointer: string, words: Words): string {
  const element = document.getElementById(idOf(pointer)) ?? nearest(pointer)
  const own = element?.matches('fieldset') ? element.querySelector(':scope > legend') : element?.closest('.field')?.querySelector('label')
  const name = own?.firstChild?.textContent?.trim() || own?.textContent?.trim() || ''
  const person = element?.closest('.person')
  const who = person ? person.querySelector(':scope > legend')?.textContent?.trim() : pointer.startsWith('/contact') ? words.say('form.contact') : ''
  return [who, element === person ? '' : name].filter(Boolean).join(', ') || words.say('form.participants')
}

function paragraph(text: string): HTMLParagraphElement {
  const p = document.createElement('p')
  p.textContent = text
  return p
}
