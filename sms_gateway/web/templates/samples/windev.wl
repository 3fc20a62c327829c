sForm is string = "recipients=" + URLEncode("0032494000000", urlEncodeUTF8) + ...
	"&message=" + URLEncode("Hello World", urlEncodeUTF8)
cRequest is httpRequest
cRequest.URL = "{{ public_url }}/sendsms/"
cRequest.Method = httpPost
cRequest.ContentType = "application/x-www-form-urlencoded; charset=utf-8"
cRequest.Header["Authorization"] = "Bearer YOUR_KEY"
cRequest.Content = sForm
cAnswer is httpResponse = HTTPSend(cRequest)
IF ErrorOccurred THEN
	Error(ErrorInfo())
ELSE
	Info(UTF8ToString(cAnswer.Content))
END
