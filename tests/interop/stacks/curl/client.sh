#!/bin/sh
# An envelope by hand, as in a shell script.
case "$1" in
*1.2) namespace=http://www.w3.org/2003/05/soap-envelope type=application/soap+xml ;;
*) namespace=http://schemas.xmlsoap.org/soap/envelope/ type=text/xml ;;
esac
message=$(printf '%s' "$MESSAGE" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')
answer=$(curl --silent --show-error --fail "$ENDPOINT" \
    --header "Content-Type: $type; charset=utf-8" --data-binary @- <<END
<?xml version="1.0" encoding="utf-8"?>
<soap:Envelope xmlns:soap="$namespace">
  <soap:Body>
    <sendSms xmlns="urn:sendSmsNow">
      <recipients>$RECIPIENTS</recipients>
      <message>$message</message>
      <apikey>$APIKEY</apikey>
    </sendSms>
  </soap:Body>
</soap:Envelope>
END
) || exit
printf '%s\n' "$answer" |
    sed -n 's:.*<error>\(.*\)</error><sent>\(.*\)</sent><id>\(.*\)</id>.*:\1 \2 \3:p'
