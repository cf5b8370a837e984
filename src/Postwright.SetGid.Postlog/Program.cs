return Postwright.Commands.Postlog.Run(args);
