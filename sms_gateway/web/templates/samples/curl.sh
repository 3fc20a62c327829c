curl {{ public_url }}/sendsms/ \
  --header 'Authorization: Bearer YOUR_KEY' \
  --data-urlencode 'recipients=0032494000000' \
  --data-urlencode 'message=Hello World'
