package rehearse

import (
	"fmt"

	"gapura/internal/rehearse/crowd"
)

// text says for a terminal what came of asking for codes.
func (c MailCount) text() string {
	n := func(v int) string { return grouped(int64(v)) }
	return fmt.Sprintf("%s asked for, %s of them without a mail, %s wrong", n(c.Asked), n(c.Silent), n(c.Wrong))
}

type mailRow struct{ Label, LabelEN, People, Bots string }

func mailRows(rr *RoomResult) []mailRow {
	row := func(label, english string, of func(c MailCount) int) mailRow {
		return mailRow{label, english, whole(of(rr.Mail.People)), whole(of(rr.Mail.Bots))}
	}
	return []mailRow{
		row("konfirmasi diminta", "confirmations asked for", func(c MailCount) int { return c.Asked }),
		row("kali email diminta lagi", "times the mail was asked for again", func(c MailCount) int { return c.Again }),
		row("email berisi kode yang datang", "mails with a code that came", func(c MailCount) int { return c.Mailed }),
		row("konfirmasi tanpa email", "confirmations without a mail", func(c MailCount) int { return c.Silent }),
		row("kode salah yang dikirim", "wrong codes that were sent", func(c MailCount) int { return c.Wrong }),
	}
}

// mailRows compares two crowds that had to confirm addresses.
func (c *Contrast) mailRows() []comparedRow {
	a, b := c.Without.Room.Mail, c.With.Room.Mail
	if a == nil || b == nil {
		return nil
	}
	return []comparedRow{
		{"konfirmasi diminta orang", "confirmations that people asked for", whole(a.People.Asked), whole(b.People.Asked)},
		{"konfirmasi diminta bot", "confirmations that bots asked for", whole(a.Bots.Asked), whole(b.Bots.Asked)},
		{"kode lewat email, p50", "code by mail, p50", duration(a.Wait.P50), duration(b.Wait.P50)},
		{"kode lewat email, p99", "code by mail, p99", duration(a.Wait.P99), duration(b.Wait.P99)},
		{"kode salah", "wrong codes", whole(a.People.Wrong + a.Bots.Wrong), whole(b.People.Wrong + b.Bots.Wrong)},
	}
}

// confirmedBehaviour is what bots do otherwise where addresses are confirmed.
func (c *Contrast) confirmedBehaviour() map[crowd.Role]Text {
	redraws := Text{
		fmt.Sprintf("meminta kode %d kali untuk satu alamat, dan setiap tiket dipakai menahan tempat", crowd.Redraws),
		fmt.Sprintf("ask for a code %d times for one address, and use every ticket to hold a place", crowd.Redraws),
	}
	if n := min(c.With.Plan.Room.Aliases, crowd.Redraws); n > 1 {
		redraws = Text{
			fmt.Sprintf("meminta kode untuk %d alamat dari satu kotak surat (dengan tanda tambah), dan setiap tiket dipakai menahan tempat", n),
			fmt.Sprintf("ask for codes for %d addresses of one mailbox (with a plus), and use every ticket to hold a place", n),
		}
	}
	return map[crowd.Role]Text{
		crowd.Sharer: {
			fmt.Sprintf("sampai %d bot memakai satu tiket dan alamatnya, masing-masing dengan kunci sendiri, dan saling meminjamkan izin masuk", crowd.SharersOfATicket),
			fmt.Sprintf("up to %d bots use one ticket and its address, each with a key of its own, and lend each other the pass", crowd.SharersOfATicket),
		},
		crowd.Forger: {
			"tiket, izin, konfirmasi dan kode karangan, yang diubah, dipotong, dari acara lain, dan tiket sebagai izin, dua kali tiap detik",
			"tickets, passes, confirmations and codes that are made up, altered, cut short, of another event, and tickets as passes, twice a second",
		},
		crowd.Hammerer: {
			"lima permintaan tiap detik: memesan tanpa izin, masuk tanpa tiket, menebak kode untuk alamat yang emailnya tidak dapat dibacanya",
			"five requests a second: orders without a pass, entering without a ticket, guessing the code of an address whose mail they cannot read",
		},
		crowd.Redrawer: redraws,
		crowd.Holder: {
			"seperti orang yang tergesa dengan satu alamat, tetapi tidak pernah membayar; mengantre lagi begitu izin masuk yang lalu berakhir",
			"like a person in a hurry with one address, but never pay; queue again when the last pass has lapsed",
		},
	}
}
