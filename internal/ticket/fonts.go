package ticket

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"sync"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
)

// The fonts are embedded compressed (6.7 MB instead of 17) and opened when a document first needs them.
//
//go:embed fonts/*.gz
var fontFiles embed.FS

// Fonts of the documents' own text, and those that have what no other has, in the order they are asked.
const (
	regularFont = "NotoSans-Regular"
	boldFont    = "NotoSans-Bold"
	eastAsian   = "DroidSansFallbackFull" // Chinese and Japanese
	hangul      = "NanumSquareR"
	bitmapBMP   = "Unifont"      // every character of the Basic Multilingual Plane, coarse
	bitmapAbove = "UnifontUpper" // emoji and rare scripts above it
)

// scriptFonts names the font of each writing system that the documents' own does not have.
var scriptFonts = map[language.Script]string{
	language.Arabic: "NotoSansArabic-Regular", language.Hebrew: "NotoSansHebrew-Regular",
	language.Syriac: "NotoSansSyriac-Regular", language.Thaana: "NotoSansThaana-Regular", language.Nko: "NotoSansNKo-Regular",
	language.Adlam: "NotoSansAdlam-Regular", language.Hanifi_Rohingya: "NotoSansHanifiRohingya-Regular",
	language.Devanagari: "NotoSansDevanagari-Regular", language.Bengali: "NotoSansBengali-Regular",
	language.Gurmukhi: "NotoSansGurmukhi-Regular", language.Gujarati: "NotoSansGujarati-Regular",
	language.Oriya: "NotoSansOriya-Regular", language.Tamil: "NotoSansTamil-Regular", language.Telugu: "NotoSansTelugu-Regular",
	language.Kannada: "NotoSansKannada-Regular", language.Malayalam: "NotoSansMalayalam-Regular",
	language.Sinhala: "NotoSansSinhala-Regular", language.Ol_Chiki: "NotoSansOlChiki-Regular",
	language.Meetei_Mayek: "NotoSansMeeteiMayek-Regular", language.Chakma: "NotoSansChakma-Regular",
	language.Syloti_Nagri: "NotoSansSylotiNagri-Regular", language.Tibetan: "NotoSerifTibetan-Regular",
	language.Thai: "NotoSansThai-Regular", language.Lao: "NotoSansLao-Regular", language.Khmer: "NotoSansKhmer-Regular",
	language.Myanmar: "NotoSansMyanmar-Regular", language.Cham: "NotoSansCham-Regular", language.Tai_Le: "NotoSansTaiLe-Regular",
	language.New_Tai_Lue: "NotoSansNewTaiLue-Regular", language.Tai_Tham: "NotoSansTaiTham-Regular",
	language.Tai_Viet: "NotoSansTaiViet-Regular", language.Kayah_Li: "NotoSansKayahLi-Regular",
	language.Javanese: "NotoSansJavanese-Regular", language.Balinese: "NotoSansBalinese-Regular",
	language.Sundanese: "NotoSansSundanese-Regular", language.Batak: "NotoSansBatak-Regular",
	language.Buginese: "NotoSansBuginese-Regular", language.Rejang: "NotoSansRejang-Regular",
	language.Tagalog: "NotoSansTagalog-Regular", language.Hanunoo: "NotoSansHanunoo-Regular",
	language.Buhid: "NotoSansBuhid-Regular", language.Tagbanwa: "NotoSansTagbanwa-Regular",
	language.Armenian: "NotoSansArmenian-Regular", language.Georgian: "NotoSansGeorgian-Regular",
	language.Ethiopic: "NotoSansEthiopic-Regular", language.Tifinagh: "NotoSansTifinagh-Regular",
	language.Cherokee: "NotoSansCherokee-Regular", language.Canadian_Aboriginal: "NotoSansCanadianAboriginal-Regular",
	language.Mongolian: "NotoSansMongolian-Regular", language.Yi: "NotoSansYi-Regular", language.Lisu: "NotoSansLisu-Regular",
	language.Vai: "NotoSansVai-Regular", language.Osage: "NotoSansOsage-Regular",
	language.Han: eastAsian, language.Hiragana: eastAsian, language.Katakana: eastAsian,
	language.Hangul: hangul, language.Bopomofo: eastAsian,
}

// fontLibrary opens each embedded font at most once. It is safe for concurrent use.
type fontLibrary struct {
	open map[string]func() (*typeface, error)
}

// typeface is an opened font: its tables for shaping and outlines and, of the documents' own two, what is embedded.
type typeface struct {
	name string
	font *font.Font
	base *baseFont
}

func newFontLibrary() (*fontLibrary, error) {
	files, err := fontFiles.ReadDir("fonts")
	if err != nil {
		return nil, fmt.Errorf("embedded fonts: %w", err)
	}
	lib := &fontLibrary{open: make(map[string]func() (*typeface, error), len(files))}
	for _, f := range files {
		name := f.Name()[:len(f.Name())-len(".gz")]
		lib.open[name] = sync.OnceValues(func() (*typeface, error) { return openTypeface(name) })
	}
	return lib, nil
}

func (l *fontLibrary) typeface(name string) (*typeface, error) {
	open, ok := l.open[name]
	if !ok {
		return nil, fmt.Errorf("font %s is not embedded", name)
	}
	return open()
}

func openTypeface(name string) (*typeface, error) {
	packed, err := fontFiles.Open("fonts/" + name + ".gz")
	if err != nil {
		return nil, fmt.Errorf("font %s: %w", name, err)
	}
	defer func() { _ = packed.Close() }()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("font %s: %w", name, err)
	}
	file, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("font %s: %w", name, err)
	}
	face, err := font.ParseTTF(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("font %s: %w", name, err)
	}
	opened := &typeface{name: name, font: face.Font}
	if name == regularFont || name == boldFont {
		if opened.base, err = newBaseFont(name, file, face.Font); err != nil {
			return nil, fmt.Errorf("font %s: %w", name, err)
		}
	}
	return opened, nil
}
