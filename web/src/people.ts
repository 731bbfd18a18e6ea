import { controls, isSelf } from './pointer.ts'
import type { Words } from './text.ts'

export interface Question {
  id: string
  required?: boolean
  only?: string[]
}

/** The participants of the form: adding, removing, and what each is asked. */
export class People {
  constructor(
    private readonly form: HTMLFormElement,
    private readonly words: Words,
    private readonly max: number,
    private readonly questions: Question[],
  ) {}

  get all(): HTMLFieldSetElement[] {
    return [...this.form.querySelectorAll<HTMLFieldSetElement>('.person')]
  }

  get count(): number {
    return this.all.length
  }

  /** Adds an empty participant and returns it; null if there is no room for one. */
  add(): HTMLFieldSetElement | null {
    const blank = document.querySelector<HTMLTemplateElement>('#another')
    const list = this.form.querySelector('#people')
    const n = this.count
    if (!blank || !list || n >= this.max) return null
    const person = (blank.content.cloneNode(true) as DocumentFragment).querySelector<HTMLFieldSetElement>('.person')!
    this.number(person, '__n__', n)
    list.append(person)
    this.refresh()
    return person
  }

  /** Removes a participant; those behind move up. The first one stays. */
  remove(person: HTMLFieldSetElement): void {
    const at = this.all.indexOf(person)
    if (at <= 0) return
    person.remove()
    for (let i = at; i < this.count; i++) this.number(this.all[i]!, String(i + 1), i)
    this.refresh()
  }

  /** Makes it exactly n participants, within what one order may have. */
  resize(n: number): void {
    while (this.count < Math.min(n, this.max) && this.add());
    while (this.count > Math.max(n, 1)) this.remove(this.all.at(-1)!)
  }

  /** The chosen category of each participant, '' for none. */
  chosen(): string[] {
    return this.all.map((p) => [...p.querySelectorAll<HTMLInputElement>('input[name$="/category"]')].find((c) => c.checked)?.value ?? '')
  }

  /** Shows each participant what their category is asked, and requires what the server will require. */
  refresh(): void {
    const chosen = this.chosen()
    this.all.forEach((person, i) => {
      for (const field of person.querySelectorAll<HTMLElement>('[data-asked]')) {
        const asked = !chosen[i] || (field.dataset.asked ?? '').split(' ').includes(chosen[i]!)
        field.hidden = !asked
        for (const input of field.querySelectorAll<HTMLInputElement>('input, select')) input.disabled = !asked
      }
    })
    this.requireOwn()
    this.requireAnswers(chosen)
    this.form.querySelector<HTMLElement>('#add')?.toggleAttribute('hidden', this.count >= this.max)
  }

  private requireOwn(): void {
    const self = isSelf(this.form)
    const name = this.form.querySelector<HTMLInputElement>('[name="/participants/0/name"]')
    if (name) name.required = !self
  }

  private requireAnswers(chosen: string[]): void {
    for (const control of controls(this.form)) {
      const match = /^\/participants\/(\d+)\/answers\/(.+)$/.exec(control.name)
      const question = match && this.questions.find((q) => q.id.replace(/~/g, '~0').replace(/\//g, '~1') === match[2])
      if (!match || !question) continue
      const category = chosen[Number(match[1])] ?? ''
      control.required = !!question.required && (!question.only || question.only.includes(category))
    }
  }

  /** Gives a participant its number: names, ids and what refers to them. */
  private number(person: HTMLFieldSetElement, from: string, to: number): void {
    const pointer = `/participants/${from}`
    const id = `f-participants-${from}`
    for (const element of [person, ...person.querySelectorAll<HTMLElement>('*')]) {
      for (const name of ['id', 'name', 'for', 'aria-describedby']) {
        const value = element.getAttribute(name)
        if (value) element.setAttribute(name, renumbered(renumbered(value, pointer, `/participants/${to}`), id, `f-participants-${to}`))
      }
    }
    person.dataset.index = String(to)
    person.querySelector(':scope > legend')!.textContent = this.words.say('form.participant_n', { n: to + 1 })
    const remove = person.querySelector<HTMLButtonElement>('.remove')
    if (remove) {
      remove.value = `remove-${to}`
      remove.setAttribute('aria-label', this.words.say('form.remove_n', { n: to + 1 }))
    }
  }
}

/** Replaces a prefix that ends a step, in every word: /participants/1 is no part of /participants/10. */
function renumbered(value: string, from: string, to: string): string {
  return value
    .split(' ')
    .map((word) => (word === from || word.startsWith(from + '/') || word.startsWith(from + '-') ? to + word.slice(from.length) : word))
    .join(' ')
}

/** The answers of a form by input name, for keeping. */
export function answers(form: HTMLFormElement): Record<string, string> {
  const out: Record<string, string> = {}
  for (const control of controls(form)) {
    if (control instanceof HTMLInputElement && control.type === 'radio') {
      if (control.checked) out[control.name] = control.value
    } else if (control instanceof HTMLInputElement && control.type === 'checkbox') {
      out[control.name] = control.checked ? control.value : ''
    } else if (control.value !== '') out[control.name] = control.value
  }
  out.self = isSelf(form) ? '0' : ''
  return out
}

/** Puts kept answers back. */
export function restore(form: HTMLFormElement, kept: Record<string, string>): void {
  const self = form.querySelector<HTMLInputElement>('#self')
  if (self && 'self' in kept) self.checked = kept.self === '0'
  for (const control of controls(form)) {
    const value = kept[control.name]
    if (control instanceof HTMLInputElement && control.type === 'radio') control.checked = value === control.value && !control.disabled
    else if (control instanceof HTMLInputElement && control.type === 'checkbox') control.checked = value === control.value
    else control.value = value ?? ''
  }
}
