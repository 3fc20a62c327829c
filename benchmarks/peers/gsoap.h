//gsoap ns service name: sendSmsNow
//gsoap ns service namespace: urn:sendSmsNow
//gsoap ns schema namespace: urn:sendSmsNow
//gsoap ns schema form: qualified
struct ns__SendSmsResult { int error; int sent; char *id; };
struct ns__sendSmsResponse { struct ns__SendSmsResult return_; };
int ns__sendSms(char *recipients, char *message, char *apikey, struct ns__sendSmsResponse *);
