#include <QCoreApplication>
#include <QStringList>
#include <iostream>
#include "wsdl.h"

using namespace SendSmsNow;

static QString variable(const char *name) { return QString::fromUtf8(qgetenv(name)); }

template <class Port> static int run() {
    Port service;
    service.setEndPoint(variable("ENDPOINT"));

    TNS__SendSms message;
    message.setRecipients(variable("RECIPIENTS"));
    message.setMessage(variable("MESSAGE"));
    message.setApikey(variable("APIKEY"));
    auto result = service.sendSms(message).return_();
    if (!service.lastError().isEmpty()) {
        std::cerr << service.lastError().toStdString() << '\n';
        return 1;
    }
    std::cout << result.error() << ' ' << result.sent() << ' ' << result.id().toStdString() << '\n';

    TNS__GetStatus question;
    question.setApikey(variable("APIKEY"));
    question.setId(result.id());
    auto status = service.getStatus(question).return_();
    QStringList recipients;
    for (const auto &delivery : status.deliveries())
        recipients << delivery.recipient();
    std::cout << status.error() << ' ' << recipients.join(',').toStdString() << '\n';
    return 0;
}

int main(int count, char **arguments) {
    QCoreApplication application(count, arguments);
    return QString(arguments[1]).endsWith("1.2")
        ? run<SendSmsNowBinding12>() : run<SendSmsNowBinding>();
}
