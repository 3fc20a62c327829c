#include <cstdlib>
#include <iostream>
#include <string>
#include "soapH.h"
#include "sendSmsNowBinding.nsmap"

static std::string variable(const char *name) { return std::getenv(name); }

// wsdl2h and soapcpp2 make functions for each binding and name them so.
template <class Request, class Response, class Call>
static void call(struct soap *soap, Call function, Request &request, Response &response) {
    if (function(soap, std::getenv("ENDPOINT"), nullptr, &request, response) != SOAP_OK) {
        soap_print_fault(soap, stderr);
        std::exit(1);
    }
}

int main(int, char **arguments) {
    bool soap12 = std::string(arguments[1]).find("1.2") != std::string::npos;
    struct soap *soap = soap_new1(SOAP_C_UTFSTRING);
    soap_set_version(soap, soap12 ? 2 : 1);

    _sms__sendSms message;
    message.recipients = variable("RECIPIENTS");
    message.message = variable("MESSAGE");
    message.apikey = variable("APIKEY");
    _sms__sendSmsResponse sent;
    call(soap, soap12 ? soap_call___sms3__sendSms : soap_call___sms2__sendSms, message, sent);
    std::cout << sent.return_->error << ' ' << sent.return_->sent << ' ' << sent.return_->id << '\n';

    _sms__getStatus question;
    question.apikey = variable("APIKEY");
    question.id = sent.return_->id;
    _sms__getStatusResponse status;
    call(soap, soap12 ? soap_call___sms3__getStatus : soap_call___sms2__getStatus, question, status);
    std::cout << status.return_->error << ' ';
    const char *comma = "";
    for (auto &delivery : status.return_->deliveries) {
        std::cout << comma << delivery->recipient;
        comma = ",";
    }
    std::cout << '\n';
}
