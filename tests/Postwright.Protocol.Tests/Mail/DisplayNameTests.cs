using Postwright.Protocol.Mail;

namespace Postwright.Protocol.Tests.Mail;

public class DisplayNameTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("Joe User", "Joe User")]
    [InlineData("Joe Q. User", "\"Joe Q. User\"")]
    [InlineData("a\"b\\c", "\"a\\\"b\\\\c\"")]
    [InlineData("x\r\nBcc: y", "\"x  Bcc: y\"")]
    [InlineData("J\u00f6rg M.", "=?utf-8?Q?J=C3=B6rg_M=2E?=")]
    public void A_name_is_quoted_or_encoded_where_it_has_to_be(string name, string expected) => Assert.Equal(expected, DisplayName.Format(name));

    [Fact]
    public void Encoded_words_are_no_longer_than_75_characters() =>
        Assert.All(DisplayName.Format(new string('\u00f6', 200)).Split(' '), word => Assert.InRange(word.Length, 13, 75));
}
