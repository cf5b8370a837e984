using System.Text;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;

namespace Postwright.Protocol.Tests.Smtp;

public sealed class SyntaxTests
{
    [Theory]
    [InlineData("<a@b.example>", "a@b.example")]
    [InlineData("a@b.example", "a@b.example")]
    [InlineData("<>", "")]
    [InlineData("<@x,@y:a@b>", "a@b")]
    [InlineData("<\"a b\"@c>", "a b@c")]
    [InlineData("<a\\ b@c>", "a b@c")]
    [InlineData("<\"a\\\"b\"@c>", "a\"b@c")]
    [InlineData("<a@[127.0.0.1]>", "a@[127.0.0.1]")]
    public void Paths_are_read(string argument, string address)
    {
        Assert.True(SmtpPath.TryParse(Encoding.UTF8.GetBytes(argument), false, out string read));
        Assert.Equal(address, read);
    }

    [Theory]
    [InlineData("a@b.example")]
    [InlineData("<@b.example>")]
    [InlineData("John<a@b>")]
    public void A_strict_reader_takes_brackets_alone(string argument) => Assert.False(SmtpPath.TryParse(Encoding.UTF8.GetBytes(argument), true, out _));

    [Theory]
    [InlineData("a", true)]
    [InlineData("a.b-c_d.example", true)]
    [InlineData("1.2.3", false)]
    [InlineData("a..b", false)]
    [InlineData(".a", false)]
    [InlineData("a.", false)]
    [InlineData("-a", false)]
    [InlineData("a-.b", false)]
    [InlineData("a b", false)]
    [InlineData("", false)]
    public void Host_names(string name, bool valid) => Assert.Equal(valid, HostNames.IsValid(name));

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.0.0.256", false)]
    [InlineData("127.0.1", false)]
    [InlineData("010.0.0.1", false)]
    [InlineData("2001:db8::1", true)]
    [InlineData("fe80::1%eth0", false)]
    public void Addresses(string text, bool valid) => Assert.Equal(valid, HostNames.IsValidAddress(text, out _));

    [Theory]
    [InlineData("a+2Bb", "a+b")]
    [InlineData("a+2bb", "a+b")]
    [InlineData("abc", "abc")]
    public void Xtext_is_decoded(string text, string decoded)
    {
        Assert.True(Xtext.TryDecode(Encoding.ASCII.GetBytes(text), out string read));
        Assert.Equal(decoded, read);
        Assert.True(Xtext.TryDecode(Encoding.ASCII.GetBytes(Xtext.Encode(decoded)), out string again));
        Assert.Equal(decoded, again);
    }

    [Theory]
    [InlineData("a+2")]
    [InlineData("a+ZZ")]
    [InlineData("a b")]
    [InlineData("+FF")]
    public void What_is_no_xtext_is_told(string text) => Assert.False(Xtext.TryDecode(Encoding.ASCII.GetBytes(text), out _));

    [Theory]
    [InlineData("5.7.1 no", "5.7.1", "no")]
    [InlineData("no", "4.0.0", "no")]
    [InlineData("5.7.1no", "4.0.0", "5.7.1no")]
    [InlineData("9.7.1 no", "4.0.0", "9.7.1 no")]
    public void Status_codes_before_texts(string text, string code, string rest) => Assert.Equal((code, rest), EnhancedStatus.Split(text, "4.0.0"));

    [Theory]
    [InlineData("a@b", "a@b")]
    [InlineData("a b@c", "\"a b\"@c")]
    [InlineData("a..b@c", "\"a..b\"@c")]
    [InlineData("a\"b@c", "\"a\\\"b\"@c")]
    [InlineData("a@b@c", "\"a@b\"@c")]
    [InlineData("jürgen@c", "jürgen@c")]
    [InlineData("", "")]
    public void External_form_quotes_what_needs_it(string address, string external) => Assert.Equal(external, AddressText.ToExternal(address));

    [Fact]
    public void A_date_has_two_digits_and_the_zone() =>
        Assert.Equal("Sun, 01 Feb 2026 03:04:05 +0000 (UTC)", MailDate.Format(new DateTimeOffset(2026, 2, 1, 3, 4, 5, TimeSpan.Zero), TimeZoneInfo.Utc));

    [Theory]
    [InlineData("Subject: x", 7)]
    [InlineData("Subject : x", 7)]
    [InlineData(": x", 0)]
    [InlineData("no header", 0)]
    [InlineData("two words: x", 0)]
    [InlineData(" Subject: x", 0)]
    public void Header_names(string line, int length) => Assert.Equal(length, HeaderLine.NameLength(Encoding.UTF8.GetBytes(line), out _));
}
