/** The body of POST /api/v1/events/{slug}/orders. */
export interface Request {
  contact: { name: string; email: string; phone: string }
  participants: Participant[]
  locale: string
  expected_total?: number
  captcha?: string
}

export interface Participant {
  category: string
  name: string
  email?: string
  phone?: string
  birth_date: string
  gender: string
  answers?: Record<string, string>
}

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement

/** What can stand for the first participant when the contact runs. */
export const shared = ['name', 'email', 'phone'] as const

/** The inputs of a form that have a place in the request: their names are JSON pointers into it. */
export function controls(form: HTMLFormElement): Control[] {
  return (Array.from(form.elements) as Control[]).filter((c) => c.name?.startsWith('/'))
}

/** The value of an input as the request has it; null where it has none (a radio that is not chosen, a disabled input). */
export function valueOf(control: Control): string | null {
  if (control.disabled) return null
  if (control instanceof HTMLInputElement && (control.type === 'radio' || control.type === 'checkbox')) {
    return control.checked ? control.value : null
  }
  return control.value.trim()
}

export function isSelf(form: HTMLFormElement): boolean {
  return form.querySelector<HTMLInputElement>('#self')?.checked ?? false
}

/** Builds the request from the form. */
export function readRequest(form: HTMLFormElement, locale: string): Request {
  const request: Request = { contact: { name: '', email: '', phone: '' }, participants: [], locale }
  for (const control of controls(form)) {
    const value = valueOf(control)
    if (value !== null) place(request, control.name, value)
  }
  for (const p of request.participants) {
    if (p.email === '') delete p.email
    if (p.phone === '') delete p.phone
  }
  const first = request.participants[0]
  if (first && isSelf(form)) for (const name of shared) first[name] = request.contact[name]
  return request
}

function place(request: Request, pointer: string, value: string): void {
  const [group, second, third, fourth] = steps(pointer)
  if (group === 'contact' && (second === 'name' || second === 'email' || second === 'phone')) request.contact[second] = value
  if (group !== 'participants' || !third) return
  const p = (request.participants[Number(second)] ??= { category: '', name: '', birth_date: '', gender: '' })
  if (third === 'answers' && fourth !== undefined) {
    if (value !== '') (p.answers ??= {})[fourth] = value
  } else {
    p[third as 'category' | 'name' | 'email' | 'phone' | 'birth_date' | 'gender'] = value
  }
}

/** The steps of a JSON pointer (RFC 6901). */
export function steps(pointer: string): string[] {
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replace(/~1/g, '/').replace(/~0/g, '~'))
}

/** Where a fault is shown: what the contact stands for is corrected there. */
export function shownAt(pointer: string, self: boolean): string {
  const own = /^\/participants\/0\/(name|email|phone)$/.exec(pointer)
  return self && own ? `/contact/${own[1]}` : pointer
}

/** The id of the element of a pointer, as the server's templates make it. */
export function idOf(pointer: string): string {
  return 'f' + pointer.replace(/\//g, '-')
}

/** The nearest element on the page to a pointer: its input, else its participant, else the list of participants. */
export function nearest(pointer: string, root: Document = document): HTMLElement | null {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const found = root.getElementById(idOf(at))
    if (found) return found
  }
  return null
}
