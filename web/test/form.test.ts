import { beforeEach, describe, expect, it } from 'vitest'
import { mark, sentences, unmark } from '../src/errors.ts'
import { answers, People, restore } from '../src/people.ts'
import { idOf, nearest, readRequest, shownAt, steps } from '../src/pointer.ts'
import { Words } from '../src/text.ts'

const words = new Words({
  'form.participant_n': 'Peserta {n}',
  'form.remove_n': 'Hapus peserta {n}',
  'field.required': 'Wajib diisi.',
  'field.too_long': 'Maksimal {max} karakter.',
  'field.too_long.plain': 'Terlalu panjang.',
  'field.unknown': 'Periksa lagi.',
})

const person = (i: string): string => `
  <fieldset class="person" id="f-participants-${i}" data-index="${i}"><legend>Peserta ${Number(i) + 1}</legend>
  ${i === '0' ? '<input type="checkbox" id="self" name="self" value="0">' : `<button class="remove" name="action" value="remove-${i}"></button>`}
  <div class="field"><fieldset id="f-participants-${i}-category">
    <input type="radio" name="/participants/${i}/category" id="f-participants-${i}-category-10k" value="10k">
    <input type="radio" name="/participants/${i}/category" id="f-participants-${i}-category-fun" value="fun">
  </fieldset><p class="error" id="f-participants-${i}-category-error" hidden></p></div>
  <div class="field"><label for="f-participants-${i}-name">Nama</label><input name="/participants/${i}/name" id="f-participants-${i}-name"><p class="error" id="f-participants-${i}-name-error" hidden></p></div>
  <input name="/participants/${i}/email" id="f-participants-${i}-email">
  <div class="field" data-asked="10k"><input name="/participants/${i}/answers/jersey" id="f-participants-${i}-answers-jersey"></div>
  <input type="checkbox" name="/participants/${i}/answers/fit" value="true">
  </fieldset>`

function page(): HTMLFormElement {
  document.body.innerHTML = `<form id="form">
    <div class="field"><label for="f-contact-name">Nama</label><input name="/contact/name" id="f-contact-name" aria-describedby="f-contact-name-help"><p class="error" id="f-contact-name-error" hidden></p></div>
    <input name="/contact/email" id="f-contact-email"><input name="/contact/phone" id="f-contact-phone">
    <div id="people">${person('0')}</div><button id="add"></button></form>
    <template id="another">${person('__n__')}</template>`
  return document.querySelector('form')!
}

const type = (name: string, value: string): void => {
  document.querySelector<HTMLInputElement>(`[name="${name}"]`)!.value = value
}
const choose = (name: string, value: string): void => {
  document.querySelector<HTMLInputElement>(`[name="${name}"][value="${value}"]`)!.click()
}

let form: HTMLFormElement
let people: People
beforeEach(() => {
  form = page()
  people = new People(form, words, 3, [{ id: 'jersey', required: true, only: ['10k'] }, { id: 'fit', required: true }])
  people.refresh()
})

describe('the request', () => {
  it('is read by pointers', () => {
    type('/contact/name', ' Siti ')
    choose('/participants/0/category', '10k')
    people.refresh()
    type('/participants/0/name', 'Budi')
    type('/participants/0/answers/jersey', 'M')
    choose('/participants/0/answers/fit', 'true')
    expect(readRequest(form, 'id')).toEqual({
      locale: 'id',
      contact: { name: 'Siti', email: '', phone: '' },
      participants: [{ category: '10k', name: 'Budi', birth_date: '', gender: '', answers: { jersey: 'M', fit: 'true' } }],
    })
  })

  it('takes the first participant from the contact who runs', () => {
    type('/contact/name', 'Siti')
    type('/contact/email', 'siti@example.id')
    type('/participants/0/name', 'left over')
    choose('self', '0')
    expect(readRequest(form, 'id').participants[0]).toMatchObject({ name: 'Siti', email: 'siti@example.id' })
  })

  it('leaves out what the category is not asked', () => {
    choose('/participants/0/category', '10k')
    people.refresh()
    type('/participants/0/answers/jersey', 'M')
    choose('/participants/0/category', 'fun')
    people.refresh()
    expect(readRequest(form, 'id').participants[0]!.answers).toBeUndefined()
    expect(document.querySelector<HTMLInputElement>('[name$=jersey]')!.required).toBe(false)
  })
})

describe('participants', () => {
  it('are added up to the limit and numbered', () => {
    people.add()
    people.add()
    expect(people.add()).toBeNull()
    expect(people.all.map((p) => p.querySelector('legend')!.textContent)).toEqual(['Peserta 1', 'Peserta 2', 'Peserta 3'])
    expect(document.getElementById('f-participants-2-category-fun')!.getAttribute('name')).toBe('/participants/2/category')
    expect(document.getElementById('add')!.hidden).toBe(true)
    expect(form.innerHTML).not.toContain('__n__')
  })

  it('move up when one goes, with their answers', () => {
    people.add()
    people.add()
    type('/participants/1/name', 'Kedua')
    type('/participants/2/name', 'Ketiga')
    people.remove(people.all[1]!)
    expect(people.count).toBe(2)
    expect(document.querySelector<HTMLInputElement>('[name="/participants/1/name"]')!.value).toBe('Ketiga')
    expect(people.all[1]!.querySelector('.remove')!.getAttribute('aria-label')).toBe('Hapus peserta 2')
    people.remove(people.all[0]!)
    expect(people.count).toBe(2)
  })

  it('come back from a draft', () => {
    people.add()
    type('/participants/1/name', 'Kedua')
    choose('/participants/1/category', 'fun')
    choose('self', '0')
    const kept = answers(form)
    form = page()
    people = new People(form, words, 3, [])
    people.resize(2)
    restore(form, kept)
    expect(answers(form)).toEqual(kept)
    people.resize(9)
    expect(people.count).toBe(3)
  })
})

describe('faults', () => {
  it('are said once an input, at the contact who runs', () => {
    const faults = [
      { pointer: '/contact/name', code: 'required' },
      { pointer: '/participants/0/name', code: 'required' },
      { pointer: '/participants/0/birth_date', code: 'too_long', params: { max: 10 } },
      { pointer: '/participants/0/gender', code: 'too_long' },
      { pointer: '/participants/0/email', code: 'new_code', detail: 'said by the server' },
    ]
    expect(sentences(faults, words, true).map((s) => [s.pointer, s.text])).toEqual([
      ['/contact/name', 'Wajib diisi.'],
      ['/participants/0/birth_date', 'Maksimal 10 karakter.'],
      ['/participants/0/gender', 'Terlalu panjang.'],
      ['/contact/email', 'said by the server'],
    ])
    expect(sentences(faults, words, false).map((s) => s.pointer)).toContain('/participants/0/name')
  })

  it('are tied to their inputs, and taken back', () => {
    mark(form, [{ pointer: '/contact/name', text: 'Wajib diisi.' }, { pointer: '/participants/0/category', text: 'Pilih.' }])
    const input = document.getElementById('f-contact-name')!
    expect(input.getAttribute('aria-invalid')).toBe('true')
    expect(input.getAttribute('aria-describedby')).toBe('f-contact-name-help f-contact-name-error')
    expect(document.getElementById('f-contact-name-error')!.textContent).toBe('Wajib diisi.')
    expect(document.getElementById('f-participants-0-category')!.getAttribute('aria-describedby')).toBe('f-participants-0-category-error')
    unmark(form)
    expect(input.hasAttribute('aria-invalid')).toBe(false)
    expect(input.getAttribute('aria-describedby')).toBe('f-contact-name-help')
    expect(document.querySelectorAll('.wrong, .error:not([hidden])').length).toBe(0)
  })
})

describe('pointers', () => {
  it('are split as RFC 6901 says', () => {
    expect(steps('/participants/0/answers/a~1b~0c')).toEqual(['participants', '0', 'answers', 'a/b~c'])
  })

  it('find the nearest element', () => {
    expect(idOf('/participants/0/name')).toBe('f-participants-0-name')
    expect(nearest('/participants/0/answers/unknown')!.id).toBe('f-participants-0')
    expect(nearest('/locale')).toBeNull()
    expect(shownAt('/participants/1/name', true)).toBe('/participants/1/name')
  })
})
