import java.net.URI;
import javax.xml.namespace.QName;
import javax.xml.soap.*;

public class Client {
    static final String NAMESPACE = "urn:sendSmsNow";

    public static void main(String[] arguments) throws Exception {
        String version = arguments[0].endsWith("1.2")
            ? SOAPConstants.SOAP_1_2_PROTOCOL : SOAPConstants.SOAP_1_1_PROTOCOL;
        SOAPMessage request = MessageFactory.newInstance(version).createMessage();
        SOAPElement call = request.getSOAPBody().addChildElement("sendSms", "urn", NAMESPACE);
        for (String name : new String[] {"recipients", "message", "apikey"})
            call.addChildElement(name, "urn").addTextNode(System.getenv(name.toUpperCase()));
        if (arguments[0].contains("attachment"))
            request.addAttachmentPart(request.createAttachmentPart("beside it", "text/plain"));
        SOAPMessage answer = SOAPConnectionFactory.newInstance().createConnection()
            .call(request, URI.create(System.getenv("ENDPOINT")).toURL());
        System.out.println(member(answer, "error") + " " + member(answer, "sent") + " " + member(answer, "id"));
    }

    static String member(SOAPMessage answer, String name) throws SOAPException {
        return answer.getSOAPBody().getElementsByTagNameNS(NAMESPACE, name).item(0).getTextContent();
    }
}
