#!/bin/sh
# Rebuilds the compressed fonts from the Debian packages fonts-noto-core, fonts-droid-fallback, fonts-nanum and fonts-unifont
# (bookworm). The output depends only on the packages' versions, which README.md names.
set -eu
cd "$(dirname "$0")"
noto=/usr/share/fonts/truetype/noto
pack() { gzip -9nc "$1" >"$2.gz"; }
for face in NotoSans-Regular NotoSans-Bold NotoSerifTibetan-Regular; do
	pack "$noto/$face.ttf" "$face"
done
for script in Arabic Hebrew Syriac Thaana NKo Adlam HanifiRohingya \
	Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala OlChiki MeeteiMayek Chakma SylotiNagri \
	Thai Lao Khmer Myanmar Cham TaiLe NewTaiLue TaiTham TaiViet KayahLi \
	Javanese Balinese Sundanese Batak Buginese Rejang Tagalog Hanunoo Buhid Tagbanwa \
	Armenian Georgian Ethiopic Tifinagh Cherokee CanadianAboriginal Mongolian Yi Lisu Vai Osage; do
	pack "$noto/NotoSans$script-Regular.ttf" "NotoSans$script-Regular"
done
pack /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf DroidSansFallbackFull
pack /usr/share/fonts/truetype/nanum/NanumSquareR.ttf NanumSquareR
pack /usr/share/fonts/opentype/unifont/unifont.otf Unifont
pack /usr/share/fonts/opentype/unifont/unifont_upper.otf UnifontUpper
